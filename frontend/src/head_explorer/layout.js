// Where HeadExplorer puts its maps, and what lies under the pointer.

import { ceil, floor, max, min, round, sqrt } from "../shared/common.js";

const WORD_CELL = 7; // the smallest cell, in CSS pixels, whose row can carry a word
export const NUMBER_CELL = 26; // the smallest cell that can carry its number
export const DIAGONAL_CELL = 5; // the smallest cell whose outline leaves something to see

/**
 * Where every map of n rows and s columns stands, in CSS pixels: { places, columns, height }. A place is { head, x, y, wide,
 * high, cell, pool, large, font, label, left, top }: a pixel of the screen shows pool × pool cells, label is the height kept
 * for "head 3", left and top say which words it carries. Without pins the heads fill the width; with pins they become a strip of thumbnails, and the pinned
 * heads stand large below it, two of them beside their difference. unit is one device pixel.
 */
export function arrange({ heads, n, s, width, pinned = [], wordRoom = 60, unit = 1 }) {
  const given = { n, s, width, wordRoom, unit };
  const strip = pinned.length > 0;
  const grid = fit({ ...given, heads, limit: strip ? 150 : 560, largest: strip ? 76 : 440, withWords: !strip });
  if (!strip) return grid;
  const two = pinned.length > 1;
  const slots = two ? 3 : heads > 1 && width >= 640 ? 2 : 1;
  const large = fit({ ...given, heads: slots, limit: 560, largest: 450, withWords: true });
  const below = grid.height + 6;
  const places = large.places.map((place, i) => ({ ...place, head: pinned[i] ?? pinned[0], y: place.y + below, large: true }));
  if (two) places[2].less = pinned[1];
  return {
    ...grid,
    places: [...grid.places, ...places.slice(0, two ? 3 : 1)],
    height: below + large.height + 8,
    empty: two ? null : places[1],
  };
}

/** The largest maps of whole device pixels a cell, or cells a pixel, with which `heads` maps fit; a bit smaller for fewer rows. */
function fit({ heads, n, s, width, wordRoom, unit, limit, largest, withWords }) {
  let best = null;
  const snap = (value) => round(value / unit) * unit;
  const whole = max(1, floor(largest / sqrt(n * s) / unit)); // a long map is as large as a square one of its area
  for (const step of [...Array.from({ length: whole }, (_, i) => whole - i), 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8]) {
    const pool = max(1, round(1 / step));
    const cell = step * unit;
    const [high, wide] = [n, s].map((cells) => (step < 1 ? ceil(cells / pool) : cells * step) * unit);
    const words = withWords && cell >= WORD_CELL;
    const font = min(13, max(8, cell * 0.86));
    const long = (wordRoom * font) / 12;
    // Above, words lean by 60 degrees; without words there is room for the frame of a chosen head.
    const [room, above] = words ? [long + 10, long * 0.87 + 6 + font / 2] : [3, 3];
    const gap = wide >= 100 ? 14 : wide >= 48 ? 8 : 4;
    const label = wide >= 60 ? 18 : wide >= 40 ? 13 : 0;
    const most = floor((width - room * 1.5 + gap) / (wide + gap));
    const rows = ceil(heads / max(1, most));
    const height = ceil(above + rows * (high + gap + label));
    const fits = most >= 1 && height <= limit;
    if (best && (!fits || step < 0.85 * best.step)) break;
    if (!fits && max(wide, high) > 40 && step > 1 / 8) continue;
    if (best && rows >= best.rows) continue;
    const columns = ceil(heads / rows);
    const places = Array.from({ length: heads }, (_, head) => {
      const [row, column] = [floor(head / columns), head % columns];
      const [x, y] = [snap(room + column * (wide + gap)), snap(above + row * (high + gap + label))];
      return { head, x, y, wide, high, cell, pool, font, label, large: false, left: words && !column, top: words && !row };
    });
    best = { step, rows, height, columns, places };
  }
  return best;
}

/** What lies under a point: { place, head, query, key }; query and key are -1 on a label. null between the maps. */
export function placeAt(places, n, s, x, y) {
  for (const place of places) {
    const [column, row] = [floor((x - place.x) / place.cell), floor((y - place.y) / place.cell)];
    if (column < 0 || column >= s || row < 0 || y >= place.y + place.high + place.label) continue;
    const onMap = row < n;
    return { place, head: place.head, query: onMap ? row : -1, key: onMap ? column : -1 };
  }
  return null;
}
