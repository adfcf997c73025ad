// @ts-check
// Where things stand in the picture of slow memory, and what is in the chart. Python's picture has the same places.

import { amount, grouped } from "../shared/numbers.js";
import { BYTES } from "./state.js";

/** @typedef {{ x: number, y: number, w: number, h: number }} Box */

const [WORDS, STRIP, GAP, LETTERS] = [68, 30, 8, 16];
const [LARGEST, SMALLEST, MATRIX] = [30, 10, 264]; // of a cell, and of all cells side by side

/**
 * Q at the left of the scores, O at their right, K and V above them.
 * @param {number} N
 * @param {number} width that there is
 */
export function layoutOf(N, width) {
  const room = Math.min(MATRIX, width - WORDS - 2 * (STRIP + GAP) - 2);
  const cell = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(room / N)));
  const size = cell * N;
  const x = WORDS + STRIP + GAP;
  const y = 2 * (STRIP - 6) + 4 + LETTERS + 8;
  const strip = STRIP - 6;
  return {
    cell,
    width: x + size + GAP + STRIP + 1,
    height: y + size + LETTERS + 6,
    words: WORDS - 6,
    scores: { x, y, w: size, h: size },
    query: { x: WORDS, y, w: STRIP, h: size },
    output: { x: x + size + GAP, y, w: STRIP, h: size },
    key: { x, y: 1, w: size, h: strip },
    value: { x, y: strip + 5, w: size, h: strip },
  };
}
/** @typedef {ReturnType<typeof layoutOf>} Layout */

/**
 * The score at a place of the picture, as [row, column]; beside the scores [row, -1]; null where no row is.
 * @param {Layout} layout
 * @param {number} x
 * @param {number} y
 * @returns {[number, number] | null}
 */
export function cellAt({ scores, cell, output }, x, y) {
  const [row, column] = [Math.floor((y - scores.y) / cell), Math.floor((x - scores.x) / cell)];
  const N = scores.w / cell;
  if (row < 0 || row >= N || x < 0 || x > output.x + output.w) return null;
  return [row, column >= 0 && column < N ? column : -1];
}

const LONGEST = 17; // as a power of two: tokens in the chart

/**
 * Bytes of all scores as texts grow, beside those that tiles hold.
 * @param {import("./state.js").State} state
 * @param {number} width
 * @returns {import("../shared/chart_layout.js").Chart}
 */
export function chartOf({ N, memory }, width) {
  const lengths = Array.from({ length: LONGEST + 1 }, (_, i) => 2 ** i);
  return {
    width,
    height: 126,
    across: {
      low: 1,
      high: 2 ** LONGEST,
      log: true,
      ticks: [1, 16, 256, 4096, 65536],
      words: grouped,
      title: "tokens",
    },
    up: {
      low: 1,
      high: 2 ** 40,
      log: true,
      ticks: [2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40],
      words: (bytes) => amount(bytes, "B"),
    },
    series: [
      { name: "all scores", hue: 1, dash: "9 3", curve: lengths.map((n) => [n, BYTES * n * n]) },
      { name: "one tile", hue: 2, curve: lengths.map((n) => [n, memory.held]) },
    ],
    lines: [{ kind: "here", at: N }],
  };
}
