// @ts-check
// The chart of what every head count takes, explicit and fused, measured beside predicted.

import { chart, MARK_LETTERS } from "../shared/chart.js";
import { decade, roundTicks } from "../shared/chart_layout.js";
import { kink, PATHS, sentence } from "./timing_words.js";

/**
 * @typedef {import("./traits.js").Timing} Timing
 * @typedef {import("./traits.js").TimingRow} Row
 */

const ROOMY = [340, 170]; // px across and up, in which a remark does not cover the curves

const LOW = 130; // px; a lower chart has no room for a remark

const ms = (/** @type {number} */ seconds) => 1000 * seconds;

/**
 * Time against heads, both axes logarithmic, with a line at the present head count, which moves.
 * @param {Timing} result
 * @param {number[]} counts
 * @param {{ width: number, height: number }} size
 */
export function timingChart(result, counts, { width, height }) {
  const [low, high] = decade(result.rows.flatMap((row) => timesOf(row).map(ms)));
  const most = counts[counts.length - 1];
  const made = chart({
    width,
    height,
    label: "",
    across: { low: 1 / 1.15, high: Math.max(most, 2) * 1.15, log: true, ticks: counts, words: String, title: "heads" },
    up: { low, high, log: true, ticks: roundTicks(low, high), words: String, title: "ms" },
    series: PATHS.flatMap((path, i) => seriesOf(result, path, /** @type {1 | 2} */ (i + 1))),
    lines: [{ kind: "here", at: 1 }],
    notes: height < LOW ? [] : noteOf(result, width >= ROOMY[0] && height >= ROOMY[1]),
  });
  return {
    node: made.node,
    /** @param {number} heads */
    show(heads) {
      made.move("here", heads);
      made.node.setAttribute("aria-label", sentence(result, heads));
    },
  };
}

/** @param {Row} row */
const timesOf = ({ predicted, median, q1, q3 }) => [predicted, median, q1, q3].filter((seconds) => seconds !== null);

/**
 * @param {Timing} result
 * @param {Row["path"]} path
 * @param {1 | 2} hue
 * @returns {import("../shared/chart_layout.js").Series[]}
 */
function seriesOf(result, path, hue) {
  const rows = result.rows.filter((row) => row.path === path);
  const points = rows.flatMap(({ heads, median, q1, q3 }) =>
    median === null ? [] : [{ x: heads, y: ms(median), low: ms(q1 ?? median), high: ms(q3 ?? median) }],
  );
  const curve = rows.map(({ heads, predicted }) => /** @type {[number, number]} */ ([heads, ms(predicted)]));
  const name = `${MARK_LETTERS[hue - 1]} ${path}`;
  return [{ name, hue, curve, dash: "5 4", points, joined: true }];
}

/**
 * @param {Timing} result
 * @param {boolean} roomy
 */
function noteOf(result, roomy) {
  const row = kink(result);
  const words = roomy ? "d_head 1: a quicker routine" : "d_head 1";
  return row?.median ? [{ x: row.heads, y: ms(row.median), words }] : [];
}
