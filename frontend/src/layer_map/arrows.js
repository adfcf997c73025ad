// @ts-check
// The ways that numbers take from part to part, as corners of lines; at the last one is the arrow's head.

/**
 * @typedef {import("./layout.js").Layout} Layout
 * @typedef {import("./layout.js").Box} Box
 * @typedef {[number, number]} Corner
 */

const PROJECTIONS = ["query", "key", "value"];
const middleOf = (/** @type {Box} */ { y, h }) => y + h / 2;
const rightOf = (/** @type {Box} */ { x, w }) => x + w;
const centreOf = (/** @type {Box} */ { x, w }) => x + w / 2;
const bottomOf = (/** @type {Box} */ { y, h }) => y + h;

/** Where numbers come from that are projected: keys and values of a context come from there. */
const sourceOf = (/** @type {string} */ name, /** @type {string} */ mode) =>
  mode === "cross" && name !== "query" ? "context" : "x";

/**
 * From a place to one at its right, turning `before` it.
 * @returns {Corner[]}
 */
function sideways(/** @type {Corner} */ [x, y], /** @type {Corner} */ [toX, toY], before = 0) {
  if (y === toY) return [[x, y], [toX, y]]; // biome-ignore format: corners
  return [[x, y], [toX - before, y], [toX - before, toY], [toX, toY]]; // biome-ignore format: corners
}

/**
 * From a place to one below it, turning just before it.
 * @returns {Corner[]}
 */
function downwards(/** @type {Corner} */ [x, y], /** @type {Corner} */ [toX, toY], before = 6) {
  if (x === toX) return [[x, y], [x, toY]]; // biome-ignore format: corners
  return [[x, y], [x, toY - before], [toX, toY - before], [toX, toY]]; // biome-ignore format: corners
}

/**
 * @param {Layout} layout
 * @param {string} mode
 * @returns {Corner[][]}
 */
export function arrowsOf(layout, mode) {
  const { parts, stacked } = layout;
  const { output, concat, tokens, x, split } = parts;
  const matrix = /** @type {Box} */ (output.weights);
  const between = (/** @type {Box} */ from, /** @type {Box} */ to) =>
    sideways([rightOf(from), middleOf(from)], [to.x, middleOf(to)]);
  const inside = (/** @type {string} */ from, /** @type {string} */ to) =>
    downwards([split.hit.x + 52, bottomOf(parts[from].hit)], [split.hit.x + 52, parts[to].hit.y]);
  return [
    between(tokens.blocks[0].box, x.blocks[0].box),
    ...(stacked ? below(layout, mode) : across(layout, mode)),
    inside("scores", "softmax"),
    inside("softmax", "average"),
    between(concat.blocks[0].box, matrix),
    between(matrix, output.blocks[0].box),
  ];
}

/** What leads to the heads, and out of them, where all stands in one row. */
function across(/** @type {Layout} */ { parts, gap }, /** @type {string} */ mode) {
  const box = (/** @type {string} */ name, i = 0) => parts[name].blocks[i].box;
  const out = (/** @type {Box} */ from) => /** @type {Corner} */ ([rightOf(from), middleOf(from)]);
  const frame = parts.split.hit;
  const [key, value] = mode === "cache" ? [box("cache"), box("cache", 1)] : [box("key"), box("value")];
  const [scores, average] = [box("scores"), box("average")];
  const [level, last] = [middleOf(box("query")), middleOf(box("value"))];
  const ways = PROJECTIONS.flatMap((name) => {
    const matrix = /** @type {Box} */ (parts[name].weights);
    const into = /** @type {Corner} */ ([matrix.x, middleOf(matrix)]);
    return [
      sideways(out(box(sourceOf(name, mode))), into, gap / 2),
      sideways(out(matrix), [box(name).x, middleOf(matrix)]),
    ];
  });
  if (mode === "cache") ways.push(sideways(out(box("key")), [key.x, middleOf(key)]));
  if (mode === "cache") ways.push(sideways(out(box("value")), [value.x, last]));
  ways.push(sideways(out(box("query")), [scores.x, level]));
  ways.push(sideways(out(key), [scores.x, level + 9], scores.x - frame.x + gap / 2));
  ways.push(sideways(out(value), [average.x, last]));
  ways.push(sideways([rightOf(frame), last], [box("concat").x, last]));
  return ways;
}

/** The same where all stands below each other. */
function below(/** @type {Layout} */ { parts }, /** @type {string} */ mode) {
  const frame = parts.split.hit;
  const under = (/** @type {string} */ name) =>
    /** @type {Corner} */ ([parts[name].title.x, bottomOf(parts[name].hit)]);
  const intoHeads = (/** @type {string} */ name) => {
    const x = Math.max(frame.x + 12, Math.min(parts[name].title.x, rightOf(frame) - 12));
    return downwards(under(name), [x, frame.y]);
  };
  const ways = PROJECTIONS.flatMap((name) => {
    const matrix = /** @type {Box} */ (parts[name].weights);
    const x = centreOf(matrix);
    return [
      downwards(under(sourceOf(name, mode)), [x, matrix.y]),
      downwards([x, bottomOf(matrix)], [x, parts[name].title.y - 13]),
    ];
  });
  if (mode === "cache") {
    for (const name of ["key", "value"]) ways.push(downwards(under(name), [parts[name].title.x, parts.cache.hit.y]));
  }
  ways.push(...(mode === "cache" ? ["query", "cache"] : PROJECTIONS).map(intoHeads));
  ways.push(downwards([frame.x + 52, bottomOf(frame)], [parts.concat.title.x, parts.concat.hit.y]));
  return ways;
}
