// @ts-check
// The state that the page shares with Python (mha_lab/widgets/intent_explorer.py says what each trait means).

/**
 * @typedef Reading a sentence as the model read it
 * @property {string} sentence
 * @property {string[]} tokens
 * @property {string} note what the model had to say about it
 * @property {number[]} probabilities of each answer
 * @property {DataView} shares float32 (n): how much of the answer is read from each word
 * @property {DataView} weights (layers, H, n, n), a byte a weight
 */

/**
 * @typedef Traits
 * @property {string[]} names
 * @property {string} sentence
 * @property {number} layer
 * @property {number} word -1 is the answer
 * @property {number[]} hovered head and word, or nothing
 * @property {boolean} stretch
 * @property {string} typed
 * @property {string} message
 * @property {boolean} can_read
 * @property {number} num_layers
 * @property {number} num_heads
 * @property {Reading[]} _readings
 * @property {Reading[]} _typed
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
