// @ts-check
// Where the overview of all layers puts its thumbnails, and where one head's lines run beside its map.

import { arrange, TALL } from "./layout.js";

/** @typedef {import("./layout.js").Layout} Layout */

const { ceil, floor, max, min, round } = Math;
const GAP = 4; // between thumbnails
const BESIDE = 56; // for "layer 11"
const ABOVE = 16; // for the numbers of the heads
const LARGEST = 64; // the side of a thumbnail
export const NUMBERED = 14; // the narrowest thumbnail that can carry its number

/**
 * A row of thumbnails for each layer.
 * @param {{ heads: number, layers: number, n: number, s: number, width: number, limit: number, unit: number }} room heads of
 *   all layers together
 * @returns {Layout}
 */
export function overview({ heads, layers, n, s, width, limit, unit }) {
  const columns = heads / layers;
  const side = min(LARGEST, (width - BESIDE) / columns - GAP, (limit - ABOVE) / layers - GAP);
  const pixels = max(1, floor(side / unit)); // of the screen
  const whole = floor(pixels / max(n, s));
  const pool = whole ? 1 : ceil(max(n, s) / pixels);
  const cell = (whole || 1 / pool) * unit;
  const [high, wide] = [n, s].map((cells) => (whole ? cells * whole : ceil(cells / pool)) * unit);
  const places = Array.from({ length: heads }, (_, head) => {
    const [row, column] = [floor(head / columns), head % columns];
    const [x, y] = [BESIDE + column * (wide + GAP), ABOVE + row * (high + GAP)].map((at) => round(at / unit) * unit);
    return { head, x, y, wide, high, cell, pool, font: 10, label: 0, large: false, left: false, top: false };
  });
  return { places, columns, height: ceil(ABOVE + layers * (high + GAP)), beside: BESIDE };
}

const [TALLEST, LOWEST] = [24, 2]; // rows of words
const ROWS = 420; // the height that rows take where they have it
const LEAST = 220; // the height of the map
const GAPS = 24; // around the words beside the lines

/**
 * A head's map, and lines from the words that look to those that are looked at: beside it where there is room, else below.
 * @param {Parameters<typeof arrange>[0] & { n: number, s: number, width: number, wordRoom: number }} room pinned is the head
 * @returns {Layout}
 */
export function withLines(room) {
  const { n, s, width, wordRoom } = room;
  const { limit = TALL } = room;
  const layout = arrange({ ...room, enlarged: max(LEAST, 0.7 * limit - 14) }); // the strip has the rest
  const place = layout.places[layout.places.length - 1];
  const beside = layout.empty;
  const most = max(n, s);
  const high = beside ? max(beside.high, min(ROWS, most * 16)) : min(ROWS, most * 16);
  const step = max(LOWEST, min(TALLEST, high / most));
  const font = min(13, max(8, step * 0.86));
  const words = step >= 8 ? (wordRoom * font) / 12 + GAPS : GAPS;
  const from = beside ? place.x + place.wide + (place.top ? (wordRoom * place.font) / 24 : 0) + GAPS : 0;
  const across = min(520, width - from) - 2 * words;
  const y = beside ? place.y : layout.height + GAPS;
  const top = /** @type {[number, number]} */ ([n, s].map((rows) => y + ((most - rows) * step) / 2 + step / 2));
  const lines = { x: from + words, end: from + words + max(40, across), top, step, font };
  return { ...layout, empty: null, lines, height: ceil(max(layout.height, y + most * step + 12)) };
}

/**
 * The word at a point beside the lines, or among them: { side, row }, null where there is none.
 * @param {import("./layout.js").Lines} lines
 * @param {number} n
 * @param {number} s
 * @param {number} x
 * @param {number} y
 */
export function wordAt({ x: from, end, top, step }, n, s, x, y) {
  const middle = (from + end) / 2;
  if (x < from - 110 || x > end + 110) return null;
  const side = x < middle ? 0 : 1;
  const row = round((y - top[side]) / step);
  return row >= 0 && row < (side ? s : n)
    ? { side: side ? /** @type {const} */ ("key") : /** @type {const} */ ("query"), row }
    : null;
}
