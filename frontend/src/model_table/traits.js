// @ts-check
// The state that the page shares with Python (mha_lab/widgets/model_table.py says what each trait means).

/**
 * A published model; null is what its source does not say.
 * @typedef Row
 * @property {string} name
 * @property {number | null} year
 * @property {number | null} layers
 * @property {number} d_model
 * @property {number} num_heads
 * @property {number} num_kv_heads
 * @property {number | null} d_head
 * @property {number | null} ratio H·d_head / d_model
 * @property {number | null} cached numbers that a token adds to the cache, in all layers
 * @property {number | null} later the same once every window is full
 * @property {boolean} decoder whether it has a cache at all
 * @property {string | null} pattern a letter for every layer
 * @property {number} shared how many of the last layers keep no keys of their own
 * @property {string} kinds its layers in words
 * @property {Record<string, string | null>} has what is special about it, in words; "" where it has no such thing
 * @property {string} note
 * @property {string} source
 * @property {string} certainty how sure its numbers are, in words
 * @property {string} left which explorers cannot show it, and why
 */

/**
 * Columns and features: [name, head, what it is].
 * @typedef Traits
 * @property {string} model the open row; "": none
 * @property {string} pointed the row or dot that one points at; "": none
 * @property {string} sort
 * @property {boolean} descending
 * @property {Record<string, boolean>} ask by feature: whether the models are to have it
 * @property {string} across
 * @property {string} up
 * @property {Row[]} _models
 * @property {[string, string, string][]} _columns
 * @property {[string, string, string][]} _features
 * @property {[number, string][]} _colours
 */

/** What is shown follows from these. @type {Exclude<keyof Traits, "_colours">[]} */
export const NAMES = [
  "model",
  "pointed",
  "sort",
  "descending",
  "ask",
  "across",
  "up",
  "_models",
  "_columns",
  "_features",
];

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
