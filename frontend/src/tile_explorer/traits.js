// @ts-check
// The state that the page shares with Python (mha_lab/widgets/tile_explorer.py says what each trait means).

/** @typedef {"scores" | "weights"} Cells */

/**
 * @typedef Traits
 * @property {string[]} tokens
 * @property {number} query_rows
 * @property {number} key_columns
 * @property {boolean} causal
 * @property {number} step
 * @property {Cells} cells
 * @property {number} row -1 is none
 * @property {number[]} pointed [row, column], [row, -1] or []
 * @property {number} d_head
 * @property {number} d_value
 * @property {DataView} _query float32 (N, K)
 * @property {DataView} _key
 * @property {DataView} _value (N, V)
 * @property {[number, string][]} _colours
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
/** What a learner can change. @typedef {Pick<Traits, typeof CHOSEN[number]>} Chosen */

export const CHOSEN = /** @type {const} */ (["query_rows", "key_columns", "causal", "step", "cells", "row", "pointed"]);
