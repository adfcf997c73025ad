// @ts-check
// Where HeadExplorer puts its maps, and what lies under the pointer. Lengths are CSS pixels.

const { ceil, floor, max, min, round, sqrt } = Math;

const WORD_CELL = 7; // the smallest cell whose row can carry a word
export const NUMBER_CELL = 26; // the smallest cell that can carry its number
export const DIAGONAL_CELL = 5; // the smallest cell whose outline leaves something to see
export const TALL = 560; // the height that maps take where the screen has it
const ENLARGED = 420; // the height that pinned heads take, even if one has to scroll for it
const SMALLEST = 24; // a map is no smaller so that all of them fit: the finger must find it
const LEAST = 180; // the height that maps take in any case
const PHONE = 480; // a narrower explorer scrolls
const GAP = 12; // between maps and chart
const ABOVE_CHART = 42; // the panel's line and edges, where the chart stands below the maps
const WORDS_BELOW = 78; // what is said below two charts
const INSET = 24; // of the chart in its panel, left and right together

/**
 * A map: a pixel of the screen shows pool × pool cells, label is the height kept for "head 3" below it, left and top say
 * which words it carries.
 *
 * @typedef {object} Place
 * @property {number} head
 * @property {number} [less] the head whose weights are taken away
 * @property {number} x
 * @property {number} y
 * @property {number} wide
 * @property {number} high
 * @property {number} cell
 * @property {number} pool
 * @property {number} font
 * @property {number} label
 * @property {boolean} large
 * @property {boolean} left
 * @property {boolean} top
 *
 * @typedef {object} Layout
 * @property {Place[]} places
 * @property {number} columns
 * @property {number} height
 * @property {Place | null} [empty] where a second enlarged head would stand
 * @property {Lines} [lines] from word to word
 * @property {number} [beside] only of the overview: the width left of the thumbnails, for the layers' names
 *
 * @typedef {object} Lines words stand in rows, those that look left and those that are looked at right
 * @property {number} x where the lines begin
 * @property {number} end where they end
 * @property {[number, number]} top of the first row, left and right
 * @property {number} step from row to row
 * @property {number} font
 *
 * @typedef {object} Room
 * @property {number} heads
 * @property {number} n
 * @property {number} s
 * @property {number} width
 * @property {number} [limit] the height that all maps may take
 * @property {number[]} [pinned]
 * @property {number} [wordRoom] for the longest word, at 12 px
 * @property {number} [unit] one device pixel
 * @property {number} [enlarged] the height that pinned heads may take; without it as much as all maps, or more
 */

/**
 * How maps and charts share the screen: `mode` says where the charts stand, `limit` is the height that the maps may take,
 * `chart` the size of one chart's picture. Beside the maps where both are wide enough then; else below them, a single chart
 * beside its words, two beside each other; on a phone below them, and the page scrolls.
 *
 * @param {number} width of the explorer
 * @param {number} height of the screen that is left below the controls
 * @param {1 | 2} [charts]
 * @returns {{ mode: "beside" | "below" | "stacked", limit: number, column: number, chart: { width: number, height: number } }}
 */
export function glance(width, height, charts = 1) {
  if (width < PHONE) {
    const chart = { width: width - INSET, height: 180 };
    return { mode: "stacked", limit: max(LEAST, min(TALL, 0.6 * height)), column: width, chart };
  }
  const column = round(max(306, min(0.38 * width, 520)));
  if (width - column >= 1.05 * min(height, TALL)) {
    const words = (column < 400 ? 195 : 165) + 25 * charts; // what is said below the charts, and the button
    const each = (height - words) / charts;
    const chart = { width: column - INSET, height: floor(max(charts > 1 ? 110 : 150, min(each, 0.66 * column))) };
    return { mode: "beside", limit: max(LEAST, min(height, TALL)), column, chart };
  }
  const half = round(0.52 * width);
  const least = charts > 1 ? 120 : 170;
  const chart = { width: half - INSET, height: round(max(least, min(0.38 * height, 0.6 * half))) };
  if (charts > 1) Object.assign(chart, { width: floor((width - INSET - GAP) / 2), height: least });
  const words = charts > 1 ? WORDS_BELOW : 0;
  const limit = max(LEAST, min(height - chart.height - words - ABOVE_CHART - GAP, TALL));
  return { mode: "below", limit, column: half, chart };
}

/**
 * Where every map of n rows and s columns stands. Without pins the heads fill the room; with pins they become a strip of
 * thumbnails, and the pinned heads stand large below it, two of them beside their difference. _head_layout.py has the same.
 * @param {Room} room
 * @returns {Layout}
 */
export function arrange(room) {
  const { heads, n, s, width, limit = TALL, pinned = [], wordRoom = 60, unit = 1 } = room;
  const given = { n, s, width, wordRoom, unit };
  if (!pinned.length) return fit({ ...given, heads, limit, largest: 440, withWords: true });
  const strip = fit({ ...given, heads, limit: min(150, 0.3 * limit), largest: 76, withWords: false });
  const two = pinned.length > 1;
  const slots = two ? 3 : heads > 1 && width >= 640 ? 2 : 1;
  const below = strip.height + 6;
  const large = fit({
    ...given,
    heads: slots,
    limit: room.enlarged ?? max(limit, ENLARGED),
    largest: 450,
    withWords: true,
  });
  const places = large.places.map((place, i) => ({
    ...place,
    head: pinned[i] ?? pinned[0],
    less: i === 2 ? pinned[1] : undefined,
    y: place.y + below,
    large: true,
  }));
  return {
    places: [...strip.places, ...places.slice(0, two ? 3 : 1)],
    columns: strip.columns,
    height: below + large.height + 8,
    empty: two ? null : places[1],
  };
}

/**
 * The largest maps of whole device pixels a cell, or cells a pixel, with which `heads` maps fit; a bit smaller for fewer
 * rows, but not so small that they lose their words.
 * @param {{ heads: number, n: number, s: number, width: number, wordRoom: number, unit: number, limit: number,
 *   largest: number, withWords: boolean }} given
 */
function fit(given) {
  const { n, s, unit, limit, largest } = given;
  const whole = max(1, floor(largest / sqrt(n * s) / unit)); // a long map is as large as a square one of its area
  /** @type {ReturnType<typeof attempt> | null} */
  let best = null;
  for (const step of [...Array.from({ length: whole }, (_, i) => whole - i), 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8]) {
    const found = attempt(given, step);
    const fits = found.most >= 1 && found.height <= limit;
    if (best && (!fits || step < 0.85 * best.step || (best.words && !found.words))) break;
    if (!fits && max(found.wide, found.high) > SMALLEST && step > 1 / 8) continue;
    if (best && found.rows >= best.rows) continue;
    best = found;
  }
  return placed(given, best ?? attempt(given, 1 / 8));
}

/**
 * The grid that maps of this step (device pixels a cell) make.
 * @param {Parameters<typeof fit>[0]} given
 * @param {number} step
 */
function attempt({ heads, n, s, width, wordRoom, unit, withWords }, step) {
  const pool = max(1, round(1 / step));
  const cell = step * unit;
  const [high, wide] = [n, s].map((cells) => (step < 1 ? ceil(cells / pool) : cells * step) * unit);
  const words = withWords && cell >= WORD_CELL;
  const font = min(13, max(8, cell * 0.86));
  const long = (wordRoom * font) / 12;
  // Above, words lean by 60 degrees; without words there is room for the frame of a chosen head.
  const [room, above] = words ? [long + 10, long * 0.87 + 6 + font / 2] : [3, 3];
  const gap = wide >= 120 ? 14 : wide >= 48 ? 8 : 4;
  const label = wide >= 60 ? 18 : wide >= 40 ? 13 : 0;
  const most = floor((width - room * 1.5 + gap) / (wide + gap));
  const rows = ceil(heads / max(1, most));
  const height = ceil(above + rows * (high + gap + label));
  return { step, pool, cell, high, wide, words, font, room, above, gap, label, most, rows, height };
}

/**
 * @param {{ heads: number, unit: number }} given
 * @param {ReturnType<typeof attempt>} grid
 */
function placed({ heads, unit }, { cell, pool, high, wide, words, font, room, above, gap, label, rows, height }) {
  const snap = (/** @type {number} */ value) => round(value / unit) * unit;
  const columns = ceil(heads / rows);
  const places = Array.from({ length: heads }, (_, head) => {
    const [row, column] = [floor(head / columns), head % columns];
    const [x, y] = [snap(room + column * (wide + gap)), snap(above + row * (high + gap + label))];
    return {
      head,
      x,
      y,
      wide,
      high,
      cell,
      pool,
      font,
      label,
      large: false,
      left: words && !column,
      top: words && !row,
    };
  });
  return { height, columns, places };
}

/**
 * What lies under a point: { place, head, query, key }; query and key are -1 on a label. null between the maps.
 * @template {Place} P
 * @param {P[]} places
 * @param {number} n
 * @param {number} s
 * @param {number} x
 * @param {number} y
 */
export function placeAt(places, n, s, x, y) {
  for (const place of places) {
    const [column, row] = [floor((x - place.x) / place.cell), floor((y - place.y) / place.cell)];
    if (column < 0 || column >= s || row < 0 || y >= place.y + place.high + place.label) continue;
    const onMap = row < n;
    return { place, head: place.head, query: onMap ? row : -1, key: onMap ? column : -1 };
  }
  return null;
}
