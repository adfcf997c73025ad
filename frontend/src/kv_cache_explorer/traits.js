// @ts-check
// The state that the page shares with Python (mha_lab/widgets/kv_cache_explorer.py says what each trait means).

/** @typedef {import("../shared/layer_kinds.js").Store} Store */

/**
 * @typedef OfModel
 * @property {number} num_heads
 * @property {number} num_kv_heads
 * @property {number} latent 0: none
 * @property {Store[]} stores of all layers
 * @property {number} full numbers that a token would leave in all layers, were each a plain multi-head one
 * @property {string} left_out
 * @property {string} kept
 * @property {number} context that is shown first
 * @property {number | null} published the longest text
 */

/** @typedef {import("../shared/layer_kinds.js").Preset & OfModel} Preset */

/**
 * @typedef Traits
 * @property {string} model
 * @property {number} context
 * @property {number} batch
 * @property {number} num_kv_heads
 * @property {number} bytes_per_number
 * @property {number} budget GiB
 * @property {number} bandwidth GB/s
 * @property {Preset[]} _presets
 * @property {[string, string][]} _others
 * @property {number[]} _contexts
 * @property {number[]} _batches
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
