// @ts-check
// Timings in words.

import { grouped, plural } from "../shared/numbers.js";

/**
 * @typedef {import("./traits.js").Timing} Timing
 * @typedef {import("./traits.js").TimingRow} Row
 */

export const PATHS = /** @type {const} */ (["explicit", "fused"]);

/**
 * Seconds as milliseconds, in three digits.
 * @param {number} seconds
 */
export function inMs(seconds) {
  const ms = seconds * 1000;
  return ms < 999.5 ? ms.toPrecision(3) : grouped(Math.round(ms));
}

/**
 * @param {Timing} result
 * @param {number} heads
 * @param {Row["path"]} path
 */
const rowOf = (result, heads, path) => result.rows.find((row) => row.heads === heads && row.path === path);

/**
 * What one head count takes; brief leaves quartiles and prediction out.
 * @param {Timing} result
 * @param {number} heads
 * @param {boolean} [brief]
 * @param {string} [beside] what was timed, where the maps show something else
 */
export function sentence(result, heads, brief = false, beside = "") {
  const parts = PATHS.map((path) => {
    const row = rowOf(result, heads, path);
    if (!row) return `${path} left out`;
    const predicted = `predicted ${inMs(row.predicted)}`;
    if (row.median === null) return `${path} not measured` + (brief ? "" : ` (${predicted} ms)`);
    const spread = ` (${inMs(row.q1 ?? row.median)}–${inMs(row.q3 ?? row.median)}; ${predicted})`;
    return `${path} ${inMs(row.median)} ms${brief ? "" : spread}`;
  });
  return `${plural(heads, "head")}${beside && ` (${beside})`}, ${plural(result.tokens, "token")}: ${parts.join(", ")}`;
}

/**
 * Where one number a head (d_head 1) takes less time than two, which no count of operations predicts: the row, or null.
 * Measured: 128 × 512 weights times one column of values 5 µs, times two 198 µs.
 * @param {Timing} result
 */
export function kink(result) {
  const [narrow, wide] = [1, 2].map((dHead) => rowOf(result, result.d_model / dHead, "fused"));
  return narrow?.median && wide?.median && narrow.median < 0.9 * wide.median ? narrow : null;
}

export const WHY_KINK = "Fused falls at d_head 1: for one column of values the library has a quicker routine.";
