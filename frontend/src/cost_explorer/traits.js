// @ts-check
// The state that the page shares with Python (mha_lab/widgets/cost_explorer.py says what each trait means).

/**
 * @typedef {"float32" | "bfloat16"} Dtype
 * @typedef {"explicit" | "fused"} Path
 * @typedef {{ numbers: number, rotary: number, query: number, value: number }} Latent
 */

/**
 * @typedef Measured
 * @property {number} n
 * @property {number} seconds the median
 * @property {number} low the first quartile, and
 * @property {number} high the third; all three alike where one number was given
 * @property {Path} path
 * @property {number} num_heads
 * @property {number} num_kv_heads
 * @property {number | null} d_head
 */

/**
 * @typedef Machine as mha_lab.cost has it
 * @property {string} device
 * @property {number} bytes_per_second
 * @property {number} page_seconds
 * @property {Record<Path, number>} call_seconds
 * @property {Record<string, [number, number, number][]>} step_seconds
 */

/**
 * @typedef OfModel the layer that is shown of a model
 * @property {number} n
 * @property {number} d_model
 * @property {number} num_heads
 * @property {number} num_kv_heads
 * @property {number | null} d_head
 * @property {Latent | null} latent
 * @property {boolean | "QKV"} bias
 * @property {number} context
 * @property {number} window
 * @property {string} left_out
 */

/** @typedef {import("../shared/layer_kinds.js").Preset & OfModel} Preset */

/**
 * @typedef Traits
 * @property {number} n
 * @property {number} d_model
 * @property {number} num_heads
 * @property {number} num_kv_heads
 * @property {number | null} d_head
 * @property {Latent | null} latent
 * @property {number} batch
 * @property {Dtype} dtype
 * @property {boolean | "QKV"} bias
 * @property {"tokens" | "heads"} against
 * @property {Preset[]} _models
 * @property {[string, string][]} _others
 * @property {Machine | null} _machine
 * @property {Measured[]} _measured
 * @property {{ d_model: number, batch: number, dtype: Dtype }} _measured_at
 * @property {[number, string][]} _colours
 */

/** @typedef {Pick<Traits, "n" | "d_model" | "num_heads" | "num_kv_heads" | "d_head" | "latent" | "batch" | "dtype" | "bias">} Sizes */
/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
