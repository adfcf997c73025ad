// @ts-check
// What is derived from the traits: the stages of the chosen head, of all heads where they are added, and what is pointed at.

import { busiest } from "../shared/busiest.js";
import { decoded } from "../shared/traits.js";
import { shownWords } from "../shared/words.js";
import { partOf, rowOf, sharesOf, stagesOfHead } from "./maths.js";

export const LAST = 6; // the stage in which all heads are added

/**
 * What stays as it is.
 * @param {import("./traits.js").Model} model
 */
export function given(model) {
  const floats = (/** @type {"_query" | "_key" | "_value" | "_w_o"} */ name) =>
    decoded(model.get(name), Float32Array) ?? new Float32Array();
  const features = model.get("features");
  return {
    words: shownWords(model.get("tokens")),
    features,
    H: model.get("num_heads"),
    D: features.length,
    width: model.get("d_head"),
    valueWidth: model.get("d_value"),
    query: floats("_query"),
    key: floats("_key"),
    value: floats("_value"),
    wO: floats("_w_o"),
    mask: decoded(model.get("_mask"), Uint8Array),
    last: features.length ? LAST : LAST - 1,
  };
}
/** @typedef {ReturnType<typeof given>} Given */

/**
 * @typedef Chosen
 * @property {number} position
 * @property {number} head
 * @property {number} stage
 * @property {number} temperature
 * @property {boolean} causal
 */

/**
 * @param {Given} fixed
 * @param {Chosen} chosen
 */
export function derived(fixed, { position, head, stage, temperature, causal }) {
  const { query, key, value, mask, words, H, D, width, valueWidth, wO } = fixed;
  const inputs = { query, key, value, mask, n: words.length, width, valueWidth, row: position, temperature, causal };
  const own = (/** @type {Float32Array} */ numbers, /** @type {number} */ i, /** @type {number} */ size) =>
    rowOf(partOf(numbers, head, H), i, size);
  const adding = stage === LAST;
  const heads = adding ? Array.from({ length: H }, (_, h) => stagesOfHead(inputs, h, H)) : [];
  const outputs = heads.map(({ output }) => output);
  return {
    ...stagesOfHead(inputs, head, H),
    ...(adding ? sharesOf(outputs, wO, D) : { shares: [], total: [] }),
    row: position,
    adding,
    heads,
    head,
    stage,
    temperature,
    causal,
    q: own(query, position, width),
    k: words.map((_, j) => own(key, j, width)),
    v: words.map((_, j) => own(value, j, valueWidth)),
    wORow: (/** @type {number} */ i) => rowOf(wO, i, D),
  };
}
/** @typedef {ReturnType<typeof derived>} State */

/**
 * The key with the largest weight.
 * @param {{ weights: number[] }} stages
 */
export const favourite = ({ weights }) => weights.indexOf(Math.max(...weights));

/**
 * The key whose arithmetic is written out: the one pointed at, or the one with the largest weight.
 * @param {State} now
 * @param {number} hovered
 */
export const keyOf = (now, hovered) => (hovered < 0 ? favourite(now) : hovered);

/**
 * The feature whose sum is written out: the one pointed at, or the busiest.
 * @param {State} now
 * @param {number} feature
 */
export const featureOf = (now, feature) => (feature < 0 ? busiest(now.shares) : feature);

/**
 * The numbers of a head's rows of W^O in one column.
 * @param {State} now
 * @param {number} feature
 */
export const columnOf = ({ output, head, wORow }, feature) =>
  output.map((_, i) => wORow(head * output.length + i)[feature]);
