// @ts-check
// Where things stand: the bars of a row's layers, and the dots of the plot. Arithmetic alone; Python's picture has the same.

import { scale, spaced } from "../shared/chart_axes.js";
import { widthOf } from "../shared/chart_words.js";
import { grouped } from "../shared/numbers.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Numbers} Numbers */
/** @typedef {{ name: string, x: number, y: number }} Dot */

export const RADIUS = 4.5; // of a dot, in pixels
const APART = 2 * RADIUS + 1; // from one dot to the next, where several models have the same two numbers
const [LEFT, TOP, RIGHT, BOTTOM] = [52, 10, 14, 20]; // around the frame, for the numbers
const SHARES = 8; // kinds of height that a bar may have

/** How high the bar of a layer is, of SHARES: how far it looks. @type {Record<string, number>} */
const HEIGHTS = { G: 8, N: 8, K: 6, H: 5, L: 3, S: 3, V: 2 };

/**
 * A path for every kind of layer in a strip of this size, and one for those of the last `shared` that keep no keys.
 * @param {string} pattern
 * @param {number} shared
 * @param {number} width
 * @param {number} height
 * @returns {{ letter: string, shared: boolean, d: string }[]}
 */
export function stripOf(pattern, shared, width, height) {
  const step = Math.min(width / pattern.length, 8);
  const wide = Math.max(step - (step > 3 ? 1 : 0.3), 0.6);
  /** @type {Map<string, { letter: string, shared: boolean, d: string }>} */
  const paths = new Map();
  [...pattern].forEach((letter, i) => {
    const own = i < pattern.length - shared;
    const path = paths.get(letter + own) ?? { letter, shared: !own, d: "" };
    const high = (height * HEIGHTS[letter]) / SHARES;
    path.d += `M${tenth(i * step)} ${tenth(height - high)}h${tenth(wide)}v${tenth(high)}h${tenth(-wide)}z`;
    paths.set(letter + own, path);
  });
  return [...paths.values()];
}

const tenth = (/** @type {number} */ number) => Number(number.toFixed(2));

/**
 * An axis around these values: years as they are, all else in powers of two.
 * @param {Numbers} column
 * @param {number[]} values
 */
export function axisOf(column, values) {
  const [least, most] = values.length ? [Math.min(...values), Math.max(...values)] : [1, 2];
  if (column === "year") {
    const ticks = Array.from({ length: most - least + 1 }, (_, i) => least + i);
    return { low: least - 0.5, high: most + 0.5, log: false, ticks, words: String };
  }
  const [low, high] = [least / 1.2, most * 1.2];
  const first = Math.ceil(Math.log2(low));
  const ticks = Array.from({ length: Math.floor(Math.log2(high)) - first + 1 }, (_, i) => 2 ** (first + i));
  return {
    low,
    high,
    log: true,
    ticks,
    words: (/** @type {number} */ tick) => (tick < 1 ? String(tick) : grouped(tick)),
  };
}

/**
 * Places around one, the nearest first: itself, then rings of six, twelve, …
 * @param {number} count
 * @returns {[number, number][]}
 */
export function cluster(count) {
  /** @type {[number, number][]} */
  const places = [[0, 0]];
  for (let ring = 1; places.length < count; ring++) {
    for (let i = 0; i < 6 * ring && places.length < count; i++) {
      const angle = (Math.PI * i) / (3 * ring);
      places.push([APART * ring * Math.cos(angle), APART * ring * Math.sin(angle)]);
    }
  }
  return places;
}

/**
 * The dots and the axes. A model without one of the two numbers has no dot: `missing` of them.
 * @param {Pick<State, "all" | "across" | "up">} state
 * @param {number} width
 * @param {number} height
 */
export function plotOf({ all, across, up }, width, height) {
  const known = all.filter((row) => row[across] !== null && row[up] !== null);
  const value = (/** @type {typeof all[number]} */ row, /** @type {Numbers} */ column) => Number(row[column]);
  const axes = [across, up].map((column) =>
    axisOf(
      column,
      known.map((row) => value(row, column)),
    ),
  );
  const frame = {
    x: LEFT,
    y: TOP,
    width: Math.max(width - LEFT - RIGHT, 1),
    height: Math.max(height - TOP - BOTTOM, 1),
  };
  const placeAcross = scale(axes[0], frame.x, frame.x + frame.width);
  const placeUp = scale(axes[1], frame.y + frame.height, frame.y);
  /** @type {Map<string, typeof all>} */
  const alike = new Map();
  for (const row of known) {
    const key = `${row[across]} ${row[up]}`;
    alike.set(key, [...(alike.get(key) ?? []), row]);
  }
  const dots = [...alike.values()].flatMap((rows) => {
    const around = cluster(rows.length);
    const [x, y] = [placeAcross(value(rows[0], across)), placeUp(value(rows[0], up))];
    return rows.map(({ name }, i) => ({ name, x: x + around[i][0], y: y + around[i][1] }));
  });
  const [ticksAcross, ticksUp] = [
    spaced(axes[0].ticks, placeAcross, (tick) => widthOf(axes[0].words(tick))),
    spaced(axes[1].ticks, placeUp, () => 6),
  ];
  return {
    frame,
    dots,
    missing: all.length - known.length,
    ticksAcross: ticksAcross.map((tick) => ({ at: placeAcross(tick), words: axes[0].words(tick) })),
    ticksUp: ticksUp.map((tick) => ({ at: placeUp(tick), words: axes[1].words(tick) })),
  };
}

/** @typedef {ReturnType<typeof plotOf>} Plot */

/**
 * The dot nearest to a place, null where none is within reach.
 * @param {Dot[]} dots
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 */
export function nearest(dots, x, y, reach) {
  /** @type {string | null} */
  let name = null;
  for (const dot of dots) {
    const far = Math.hypot(dot.x - x, dot.y - y);
    if (far <= reach) [name, reach] = [dot.name, far];
  }
  return name;
}
