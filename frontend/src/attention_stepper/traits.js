// @ts-check
// The state that the page shares with Python (mha_lab/widgets/attention_stepper.py says what each trait means).

/**
 * @typedef Traits
 * @property {string[]} tokens
 * @property {string[]} features none without w_o
 * @property {number} position
 * @property {number} head
 * @property {number} stage
 * @property {number} temperature
 * @property {boolean} causal
 * @property {number} hovered
 * @property {number} feature
 * @property {number} num_heads
 * @property {number} d_head
 * @property {number} d_value
 * @property {DataView} _query float32 (H, N, K)
 * @property {DataView} _key
 * @property {DataView} _value (H, N, V)
 * @property {DataView} _mask (N, N), 1 = may attend; empty when all may
 * @property {DataView} _w_o float32 (H·V, D); empty without
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
