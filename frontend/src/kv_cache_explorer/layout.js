// @ts-check
// Where things stand: what is in the chart, and the memory's line among the bars.

import { grouped } from "../shared/numbers.js";
import { GIB, size } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("../shared/chart_layout.js").Chart} Chart */

export const SAME = "plain multi-head layers"; // what a model is compared with

/**
 * The cache against the context, beside that of plain multi-head layers, and the memory there is.
 * @param {State} state
 * @param {number} width
 * @returns {Chart}
 */
export function chartOf({ model, over, context, budget }, width) {
  const places = over.map((at) => at.context);
  const [low, high] = [places[0], places[places.length - 1]];
  const curve = (/** @type {"bytes" | "full"} */ name) =>
    /** @type {[number, number][]} */ (over.map((at) => [at.context, at[name]]));
  const values = over.flatMap(({ bytes, full }) => [bytes, full]);
  const level = (/** @type {number} */ value) => Math.log(value) / Math.log(32);
  const lowest = Math.floor(level(Math.min(...values, budget * GIB)));
  const highest = Math.max(lowest + 1, Math.ceil(level(Math.max(...values, budget * GIB))));
  const powers = Array.from({ length: highest - lowest + 1 }, (_, i) => 32 ** (lowest + i));
  return {
    width,
    height: Math.round(Math.max(220, Math.min(0.66 * width + 20, 300))),
    across: {
      low,
      high,
      log: true,
      ticks: [128, 1024, 8192, 65536, 524288],
      words: grouped,
      title: "tokens of context",
    },
    up: { low: powers[0], high: powers[powers.length - 1], log: true, ticks: powers, words: size },
    series: [
      { name: SAME, hue: 1, dash: "9 3", curve: curve("full") },
      { name: model.name, hue: 2, curve: curve("bytes") },
      {
        name: `memory, ${budget} GiB`,
        hue: 3,
        dash: "2 3",
        curve: [
          [low, budget * GIB],
          [high, budget * GIB],
        ],
      },
    ],
    lines: [{ kind: "here", at: context }],
  };
}

/**
 * Where the memory's line stands among the bars, in percent of the longest; null where all of them end before it.
 * @param {State} state
 */
export function limitPlace({ bars, budget }) {
  const longest = Math.max(...bars.map(({ bytes }) => bytes));
  return budget * GIB <= longest ? (100 * budget * GIB) / longest : null;
}
