// @ts-check
// The state that the page shares with Python (mha_lab/widgets/output_mixer.py says what each trait means).

/**
 * @typedef Traits
 * @property {string[]} tokens
 * @property {string[]} features
 * @property {number} position
 * @property {number[]} active
 * @property {number} hovered
 * @property {number} num_heads
 * @property {DataView} _heads float32 (H, N, K)
 * @property {DataView} _w_o float32 (H·K, D)
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
