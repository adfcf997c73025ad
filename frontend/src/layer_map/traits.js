// @ts-check
// What the page shares with the class LayerMap in Python.

/** @typedef {"self" | "causal" | "cross" | "cache"} Mode */

/**
 * A part as it is in some modes; sizes stand in braces in its words, and as letters in its formulas.
 * @typedef {Object} Part
 * @property {string} name
 * @property {string} label
 * @property {string} shape
 * @property {string} formula
 * @property {string} sentence
 * @property {string} shared said where heads share keys and values
 * @property {string} lesson
 * @property {string} weights
 * @property {string} biases
 * @property {string} flops
 * @property {Mode[]} modes
 */

/**
 * num_keys are those of a context or a cache: otherwise there are as many as tokens. num_kv_heads null: as many as num_heads;
 * d_head null: d_model / num_heads. `lit` are the parts that Python lights; `pointed` is the one that a pointer or the
 * keyboard is at, `pinned` the one that stays in the read-out. `_parts` are in the order of the flow, and the whole layer last.
 * @typedef {Object} Traits
 * @property {Mode} mode
 * @property {number} batch
 * @property {number} tokens
 * @property {number} num_keys
 * @property {number} d_model
 * @property {number} num_heads
 * @property {number | null} num_kv_heads
 * @property {number | null} d_head
 * @property {boolean} bias
 * @property {number} bytes_per_number
 * @property {string[]} lit
 * @property {string} pointed
 * @property {string} pinned
 * @property {Record<string, string>} _modes
 * @property {Part[]} _parts
 * @property {[number, string][]} _colours
 */

/** What is shown follows from these. @type {Exclude<keyof Traits, "_colours">[]} */
export const NAMES = [
  "mode",
  "batch",
  "tokens",
  "num_keys",
  "d_model",
  "num_heads",
  "num_kv_heads",
  "d_head",
  "bias",
  "bytes_per_number",
  "lit",
  "pointed",
  "pinned",
  "_modes",
  "_parts",
];
