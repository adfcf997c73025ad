// @ts-check
// Where everything stands, in pixels of the page: letters keep their size whatever the width. Python draws the same picture
// from the same numbers (_layer_map_picture.py), which a test compares.

/**
 * @typedef {import("./state.js").State} State
 * @typedef {{ x: number, y: number, w: number, h: number }} Box
 * @typedef {{ x: number, y: number, anchor: "start" | "middle" | "end" }} Place of words: their baseline
 *
 * @typedef {object} Block something with a shape: as high as it has tokens, as wide as it has numbers for each, by logarithm
 * @property {Box} box
 * @property {number} stripes heads side by side, as far as they can be told apart
 * @property {number} sheets heads behind each other
 *
 * @typedef {object} Placed
 * @property {Box} hit what belongs to the part
 * @property {Block[]} blocks
 * @property {Box | null} weights where a learned matrix stands
 * @property {Place} title
 * @property {Place | null} letters of the shape
 * @property {Place | null} numbers of the shape
 */

export const NARROWEST = 830; // below, everything stands in one column
const [ROW, BOX, TOP, CELL, TIGHT] = [104, 48, 20, 84, 74];
const [ZONE, MATRIX, TOKENS] = [232, 42, 60]; // widths: the heads, a learned matrix, the tokens
const MIDDLE = 43; // from the top of a row to the middle of its boxes
const [SHEETS, SHIFT, LARGER] = [5, 3, 1.25]; // sheets at most, their distance, and how much larger they are drawn
const EDGE = 12; // from the sides of the drawing
const WIDER = 16; // the cache's column, whose shape has four sides
const STRIPE = 3; // a narrower one cannot be seen

const tall = (/** @type {number} */ tokens) => Math.min(BOX, 8 + 2.8 * Math.log2(tokens));
const wide = (/** @type {number} */ numbers, room = CELL) =>
  Math.min(room, ((10 + 4.5 * Math.log2(numbers)) * room) / CELL);
const striped = (/** @type {number} */ heads, /** @type {number} */ width) =>
  Math.max(1, Math.min(heads, Math.floor(width / STRIPE)));

/** Boxes of vectors as wide as they are long; keys and values are as many heads of a query wide as they have. */
function measures(/** @type {State} */ { sizes: { N, S, D, H, G, K } }, /** @type {number} */ cell) {
  const query = wide(H * K, cell);
  const shared = Math.max(2, (query * G) / H);
  return {
    tokens: { w: 18, h: tall(N), stripes: 1 },
    x: { w: wide(D, cell), h: tall(N), stripes: 1 },
    context: { w: wide(D, cell), h: tall(S), stripes: 1 },
    query: { w: query, h: tall(N), stripes: striped(H, query) },
    key: { w: shared, h: tall(S), stripes: striped(G, shared) },
    concat: { w: query, h: tall(N), stripes: striped(H, query) },
    output: { w: wide(D, cell), h: tall(N), stripes: 1 },
  };
}

/** A part in a cell: its title above, its shape below. */
function placed(
  /** @type {{ w: number, h: number, stripes: number }} */ { w, h, stripes },
  /** @type {number} */ x,
  /** @type {number} */ y,
  /** @type {number} */ room,
) {
  const middle = x + room / 2;
  const at = (/** @type {number} */ down) => /** @type {Place} */ ({ x: middle, y: y + down, anchor: "middle" });
  const box = { x: middle - w / 2, y: y + MIDDLE - h / 2, w, h };
  /** @type {Placed} */
  const part = {
    hit: { x: x - 2, y, w: room + 4, h: ROW - 2 },
    blocks: [{ box, stripes, sheets: 1 }],
    weights: null,
    title: at(13),
    letters: at(82),
    numbers: at(96),
  };
  return part;
}

/** The heads: a frame in which scores, weights and averages stand below each other, their words beside them. */
function headsAt(
  /** @type {State} */ { mode, sizes: { N, S, H, K } },
  /** @type {number} */ x,
  /** @type {number} */ y,
) {
  const sheets = Math.min(H, SHEETS);
  const behind = (sheets - 1) * SHIFT;
  const word = (
    /** @type {number} */ left,
    /** @type {number} */ down,
    /** @type {Place["anchor"]} */ anchor = "start",
  ) => /** @type {Place} */ ({ x: x + left, y: y + down, anchor });
  const row = (/** @type {number} */ i, /** @type {number} */ w) => {
    const middle = TOP + i * ROW + MIDDLE;
    const h = LARGER * tall(N);
    const box = { x: x + 52 - (w + behind) / 2, y: y + middle - (h - behind) / 2, w, h };
    return /** @type {Placed} */ ({
      hit: { x: x + 5, y: y + middle - 38, w: ZONE - 10, h: 76 },
      blocks: [{ box, stripes: 1, sheets }],
      weights: null,
      title: word(104, middle - 10),
      letters: word(104, middle + 7),
      numbers: word(104, middle + 23),
    });
  };
  const between = TOP + ROW - 9;
  /** @type {Record<string, Placed>} */
  const parts = {
    split: {
      hit: { x, y, w: ZONE, h: TOP + 3 * ROW },
      blocks: [],
      weights: null,
      title: word(10, 15),
      letters: null,
      numbers: null,
    },
    scores: row(0, LARGER * tall(S)),
    softmax: row(1, LARGER * tall(S)),
    average: row(2, wide(K)),
  };
  if (mode === "causal" || mode === "cache") {
    parts.mask = {
      hit: { x: x + 98, y: y + between - 13, w: ZONE - 104, h: 26 },
      blocks: [{ box: { x: x + 104, y: y + between - 8, w: 16, h: 16 }, stripes: 1, sheets: 1 }],
      weights: null,
      title: word(126, between + 4),
      letters: word(ZONE - 10, between + 4, "end"),
      numbers: null,
    };
  }
  return parts;
}

/** The cache: keys above values, or beside them; its words stand where its neighbours have few. */
function cacheAt(/** @type {Placed} */ key, /** @type {Placed} */ value) {
  const [from, to] = [key.hit, value.hit];
  const x = (key.title.x + value.title.x) / 2;
  const [letters, numbers] = from.y === to.y ? [82, 96] : [96, ROW + 11];
  const at = (/** @type {number} */ down) => /** @type {Place} */ ({ x, y: from.y + down, anchor: "middle" });
  return /** @type {Placed} */ ({
    hit: { x: from.x, y: from.y, w: to.x + to.w - from.x, h: to.y + to.h - from.y },
    blocks: [...key.blocks, ...value.blocks],
    weights: null,
    title: at(13),
    letters: at(letters),
    numbers: at(numbers),
  });
}

const matrix = (/** @type {number} */ x, /** @type {number} */ middle) => ({ x, y: middle - 12, w: MATRIX, h: 24 });

/** Everything in one row, from left to right. */
function across(/** @type {State} */ state, /** @type {number} */ width) {
  const { mode } = state;
  const cache = mode === "cache";
  const cell = (cache ? TIGHT : CELL) + Math.max(0, Math.min(26, (width - 860) / 10));
  const boxes = measures(state, cell);
  const widths = [TOKENS, cell, MATRIX, cell, ...(cache ? [cell + WIDER] : []), ZONE, cell, MATRIX, cell];
  const gap = (width - 2 * EDGE - widths.reduce((all, w) => all + w, 0)) / (widths.length - 1);
  const starts = widths.map((_, i) => EDGE + widths.slice(0, i).reduce((all, w) => all + w + gap, 0));
  const [tokens, x, first, query] = starts;
  const [heads, concat, second, output] = starts.slice(-4);
  const y = (/** @type {number} */ row) => TOP + row * ROW;
  const own = mode === "cross" ? 0 : 1;
  /** @type {Record<string, Placed>} */
  const parts = {
    tokens: placed(boxes.tokens, tokens, y(own), TOKENS),
    x: placed(boxes.x, x, y(own), cell),
    query: placed(boxes.query, query, y(0), cell),
    key: placed(cache ? { ...boxes.key, h: boxes.query.h } : boxes.key, query, y(1), cell),
    value: placed(cache ? { ...boxes.key, h: boxes.query.h } : boxes.key, query, y(2), cell),
    ...headsAt(state, heads, 0),
    concat: placed(boxes.concat, concat, y(2), cell),
    output: placed(boxes.output, output, y(2), cell),
  };
  if (mode === "cross") parts.context = placed(boxes.context, x, y(1.5), cell);
  if (cache) {
    const kept = (/** @type {number} */ row) => placed(boxes.key, starts[4], y(row), cell + WIDER);
    parts.cache = cacheAt(kept(1), kept(2));
  }
  for (const [i, name] of ["query", "key", "value"].entries()) {
    parts[name].weights = matrix(first, y(i) + MIDDLE);
    parts[name].hit = { ...parts[name].hit, x: first - 2, w: query + cell + 4 - first };
  }
  parts.output.weights = matrix(second, y(2) + MIDDLE);
  parts.output.hit = { ...parts.output.hit, x: second - 2, w: output + cell + 4 - second };
  const totals = [0, 1, 2].map((i) => ({ x: concat, y: TOP + 12 + 46 * i }));
  return { width, height: TOP + 3 * ROW, stacked: false, parts, totals, gap };
}

/** Everything below each other, for a phone. */
function below(/** @type {State} */ state, /** @type {number} */ width) {
  const { mode } = state;
  const cache = mode === "cache";
  const room = (width - 8) / 3;
  const cell = Math.min(CELL, room - 10);
  const boxes = measures(state, cell);
  const left = (/** @type {number} */ column) => 4 + column * room + 3;
  const at = (/** @type {{ w: number, h: number, stripes: number }} */ box, /** @type {number} */ column, y = 0) =>
    placed(box, left(column), y, room - 6);
  const y = { matrix: ROW + 12, query: ROW + 46, cache: 2 * ROW + 60 };
  const heads = y.cache + (cache ? ROW + 14 : 0);
  const end = heads + TOP + 3 * ROW + 14;
  const made = cache ? { ...boxes.key, h: boxes.query.h } : boxes.key;
  /** @type {Record<string, Placed>} */
  const parts = {
    tokens: at(boxes.tokens, 0),
    x: at(boxes.x, 1),
    query: at(boxes.query, 0, y.query),
    key: at(made, 1, y.query),
    value: at(made, 2, y.query),
    ...headsAt(state, (width - ZONE) / 2, heads),
    concat: at(boxes.concat, 0, end),
    output: at(boxes.output, 2, end),
  };
  if (mode === "cross") parts.context = at(boxes.context, 2);
  if (cache) parts.cache = cacheAt(at(boxes.key, 1, y.cache), at(boxes.key, 2, y.cache));
  for (const [i, name] of ["query", "key", "value"].entries()) {
    parts[name].weights = matrix(left(i) + (room - 6 - MATRIX) / 2, y.matrix + 12);
    const { hit } = parts[name];
    parts[name].hit = { ...hit, y: y.matrix - 4, h: hit.y + hit.h - y.matrix + 4 };
  }
  parts.output.weights = matrix(left(1) + (room - 6 - MATRIX) / 2, end + MIDDLE);
  parts.output.hit = { ...parts.output.hit, x: left(1) + 20, w: left(2) + room - 3 - left(1) - 20 };
  const totals = [0, 1, 2].map((i) => ({ x: left(0) + ((i % 2) * width) / 2, y: end + ROW + (i < 2 ? 18 : 62) }));
  return { width, height: end + ROW + (cache ? 88 : 44), stacked: true, parts, totals, gap: 8 };
}

/**
 * @param {State} state
 * @param {number} width
 */
export const layoutOf = (state, width) => (width < NARROWEST ? below : across)(state, width);

/** @typedef {ReturnType<typeof layoutOf>} Layout */
