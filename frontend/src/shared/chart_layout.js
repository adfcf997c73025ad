// @ts-check
// Where the parts of a chart stand: arithmetic alone, so that it can be tested without a page. chart.js draws it.

import { scale, spaced } from "./chart_axes.js";
import { GAP, placeOfName, placeOfNote, ROW, widthOf, wrapped } from "./chart_words.js";

export { decade, roundTicks } from "./chart_axes.js"; // who makes a chart needs them for its axes

/** @typedef {import("./chart_words.js").Box} Box */
/** @typedef {import("./chart_words.js").Place} Place */

/**
 * @typedef {object} Axis
 * @property {number} low
 * @property {number} high
 * @property {boolean} [log] whether equal ratios are equally long, rather than equal differences
 * @property {number[]} ticks where there is a number; some are left out where there is no room
 * @property {(value: number) => string} words a tick's number as it is written
 * @property {string} [title]
 *
 * @typedef {object} Point measured, with its quartiles where there are any
 * @property {number} x
 * @property {number} y
 * @property {number} [low]
 * @property {number} [high]
 *
 * @typedef {object} Series
 * @property {string} name stands beside it; empty: no name (a prediction beside what was measured)
 * @property {1 | 2 | 3} hue
 * @property {[number, number][]} [curve] e.g. predicted
 * @property {string} [dash] of the curve, drawn and left out in turn; none: a whole line
 * @property {Point[]} [points]
 * @property {boolean} [joined] whether a line goes through the points
 *
 * @typedef {object} Line upright, through the whole chart
 * @property {string} kind "here" (the present state) or "meet" (a place to know)
 * @property {number} at
 * @property {string} [words]
 *
 * @typedef {object} Note a remark beside a place, with a short line to it
 * @property {number} x
 * @property {number} y
 * @property {string} words
 *
 * @typedef {object} Chart
 * @property {number} width in pixels of the page, so that letters keep their size
 * @property {number} height
 * @property {Axis} across
 * @property {Axis} up
 * @property {Series[]} series
 * @property {Line[]} [lines]
 * @property {Note[]} [notes]
 */

const [TOP, RIGHT, BESIDE] = [8, 10, 6]; // above and right of the frame, and between a number and its axis

/**
 * The frame, the scales, the ticks that have room, and where every name and note stands.
 * @param {Chart} chart
 */
export function chartLayout(chart) {
  const { series, lines = [], notes = [] } = chart;
  const frame = frameOf(chart);
  const across = scale(chart.across, frame.x, frame.x + frame.width);
  const up = scale(chart.up, frame.y + frame.height, frame.y);
  const upright = lines
    .filter(({ at }) => chart.across.low <= at && at <= chart.across.high)
    .map((line) => ({ ...line, x: across(line.at), ...beside(across(line.at), line.words ?? "", frame) }));
  const traces = series.map((one) => trace(one, across, up));
  const taken = upright.filter(({ words }) => words).map(({ box }) => box);
  const surroundings = { frame, traces, taken };
  const kept = (/** @type {Box} */ box) => {
    taken.push(box);
    return box;
  };
  const named = series.flatMap((one, i) => {
    const fromTheEnd = traces[i].filter((_, place) => place % 5 === (traces[i].length - 1) % 5).reverse();
    return one.name && fromTheEnd.length ? [{ words: one.name, hue: one.hue, places: fromTheEnd }] : [];
  });
  return {
    frame,
    across,
    up,
    ticksAcross: spaced(chart.across.ticks, across, (tick) => widthOf(chart.across.words(tick))),
    ticksUp: spaced(chart.up.ticks, up, () => 6),
    lines: upright,
    traces,
    names: named.map(({ places, ...name }) => ({ ...name, box: kept(placeOfName(name.words, places, surroundings)) })),
    notes: notes.map((note) => {
      const at = /** @type {Place} */ ([across(note.x), up(note.y)]);
      const rows = wrapped(note.words, Math.max(12, Math.floor((0.45 * frame.width) / widthOf("m"))));
      return { at, rows, box: kept(placeOfNote(rows, at, surroundings)) };
    }),
  };
}

/**
 * Inside the numbers and titles of the axes.
 * @param {Chart} chart
 */
function frameOf({ width, height, across, up }) {
  const x = Math.ceil(Math.max(...up.ticks.map((tick) => widthOf(up.words(tick))), 10)) + BESIDE + 2;
  const y = TOP + (up.title ? ROW : 0);
  const bottom = height - ROW - BESIDE - (across.title ? ROW : 0);
  return { x, y, width: Math.max(width - RIGHT - x, 1), height: Math.max(bottom - y, 1) };
}

/**
 * The words of an upright line, low and on its right; on its left where on the right is too little room.
 * @param {number} x
 * @param {string} words
 * @param {Box} frame
 */
function beside(x, words, frame) {
  const width = widthOf(words);
  const right = frame.x + frame.width - x;
  const before = x - frame.x > right && right < width + 10;
  const y = frame.y + frame.height - ROW - 4;
  return { before, box: { x: before ? x - 5 - width : x + 5, y, width, height: ROW } };
}

/**
 * Places on a series, close enough together that no word fits between two of them.
 * @param {Series} series
 * @param {(value: number) => number} across
 * @param {(value: number) => number} up
 */
function trace({ curve = [], points = [], joined }, across, up) {
  /** @type {[number, number][]} */
  const places = joined ? [] : points.map(({ x, y }) => [across(x), up(y)]);
  for (const line of [curve, joined ? points.map(({ x, y }) => [x, y]) : []]) {
    const corners = line.map(([x, y]) => [across(x), up(y)]);
    corners.forEach(([x, y], i) => {
      const [x0, y0] = corners[i - 1] ?? [x, y];
      const steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0) / GAP));
      for (let step = i ? 1 : steps; step <= steps; step++) {
        places.push([x0 + ((x - x0) * step) / steps, y0 + ((y - y0) * step) / steps]);
      }
    });
  }
  for (const { x, low, high } of points) if (low && high) places.push([across(x), up(low)], [across(x), up(high)]);
  return places;
}
