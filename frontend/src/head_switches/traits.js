// @ts-check
// The state that the page shares with Python (mha_lab/widgets/head_switches.py says what each trait means).

/**
 * @typedef {[number, number]} Head layer and head
 * @typedef {[string, string, number]} Row example ("" where there is one), name of the prediction, number
 * @typedef {[Head[], Row[]] | []} Answer the heads that were off, and what was predicted
 */

/**
 * @typedef Traits
 * @property {number} num_layers
 * @property {number} num_heads
 * @property {Head[]} off
 * @property {string} message
 * @property {boolean} can_predict
 * @property {[number, number, string][]} _labels layer, head, words
 * @property {[Head[], Row[]][]} _answers known from the beginning
 * @property {Answer} _answer of the latest state
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
