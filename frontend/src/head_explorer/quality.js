// @ts-check
// What trained head counts reached: the mean of each, and every seed.

import { chart, MARK_LETTERS } from "../shared/chart.js";

/** @typedef {import("./traits.js").Trained} Trained */

/**
 * Quality against heads, with a line at the present head count, which moves.
 * @param {Trained[]} rows of one sentence
 * @param {{ width: number, height: number }} size
 */
export function qualityChart(rows, { width, height }) {
  const all = rows.flatMap(({ quality, seeds }) => [quality, ...seeds]);
  const { low, high, ticks } = ends(all);
  const counts = rows.map(({ num_heads }) => num_heads);
  const most = Math.max(...counts, 2);
  const made = chart({
    width,
    height,
    label: "",
    across: { low: 1 / 1.15, high: most * 1.15, log: true, ticks: counts, words: String },
    up: { low, high, ticks, words: (value) => String(Number(value.toPrecision(3))), title: rows[0].measure },
    series: [
      {
        name: `${MARK_LETTERS[2]} each seed, and their mean`,
        hue: 3,
        curve: rows.map(({ num_heads, quality }) => [num_heads, quality]),
        points: rows.flatMap(({ num_heads, seeds }) => seeds.map((y) => ({ x: num_heads, y }))),
      },
    ],
    lines: [{ kind: "here", at: 1 }],
  });
  return {
    node: made.node,
    /** @param {number} heads */
    show(heads) {
      made.move("here", heads);
      made.node.setAttribute("aria-label", qualityWords(rows, heads));
    },
  };
}

/**
 * Ends and ticks of an axis for these numbers: shares from 0 to 1, others as far as they reach.
 * @param {number[]} numbers
 */
export function ends(numbers) {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  if (least >= 0 && most <= 1) return { low: 0, high: 1.04, ticks: [0, 0.5, 1] };
  const room = 0.08 * (most - least || Math.abs(most) || 1);
  const step = 10 ** Math.floor(Math.log10((most - least || 1) / 2));
  const first = Math.ceil((least - room) / step);
  const ticks = Array.from({ length: 40 }, (_, i) => (first + i) * step).filter((tick) => tick <= most + room);
  return { low: least - room, high: most + room, ticks };
}

/**
 * @param {Trained[]} rows of one sentence
 * @param {number} heads
 */
export function qualityWords(rows, heads) {
  const row = rows.find(({ num_heads }) => num_heads === heads);
  if (!row) return "";
  const seeds = row.seeds.length > 1 ? ` (seeds: ${row.seeds.map(short).join(", ")})` : "";
  return `${heads} ${heads === 1 ? "head" : "heads"}: ${short(row.quality)} ${row.measure}${seeds}.`;
}

/** @param {number} number */
const short = (number) => number.toFixed(Math.abs(number) < 10 ? 3 : 1);
