// @ts-check
// What follows from the traits: sizes, shapes, and counts that are exact however large they are.

import { amount, divisors, grouped } from "../shared/numbers.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("./traits.js").Part} Part
 * @typedef {Pick<Traits, "mode" | "batch" | "tokens" | "num_keys" | "d_model" | "num_heads" | "num_kv_heads" | "d_head">} Asked
 * @typedef {{ B: number, N: number, S: number, D: number, H: number, G: number, K: number, P: number, R: number }} Sizes
 *   P: pairs of a query and a key that it may see; R: query heads for each key/value head
 */

/** @type {Record<"batch" | "tokens" | "num_keys" | "d_model" | "num_heads" | "num_kv_heads" | "d_head", number>} */
export const MOST = {
  batch: 1024,
  tokens: 131072,
  num_keys: 131072,
  d_model: 32768,
  num_heads: 512,
  num_kv_heads: 512,
  d_head: 1024,
};

/** @typedef {keyof typeof MOST} Size */

export const SIZES = /** @type {Size[]} */ (Object.keys(MOST));

/**
 * @param {number} whole
 * @param {number} parts
 * @param {string} words
 */
function leavesRest(whole, parts, words) {
  const rest = whole % parts;
  return rest
    ? `${words}: ${whole} / ${parts} leaves ${rest}; divisors of ${whole}: ${divisors(whole).join(", ")}.`
    : "";
}

/**
 * Why there is no such layer, in one sentence; empty where there is one. Python says the same.
 * @param {Asked} asked
 */
export function problem(asked) {
  for (const name of SIZES) {
    const value = asked[name];
    if (value === null) continue;
    if (!Number.isInteger(value)) return `${name} must be a whole number.`;
    if (value < 1 || value > MOST[name]) return `${name}=${value}: it must lie between 1 and ${grouped(MOST[name])}.`;
  }
  const { mode, tokens, num_keys, d_model, num_heads, num_kv_heads, d_head } = asked;
  const kept = mode === "cache" && tokens > num_keys;
  return (
    (d_head === null &&
      leavesRest(d_model, num_heads, `d_model=${d_model} cannot be split over num_heads=${num_heads}`)) ||
    (num_kv_heads !== null &&
      leavesRest(num_heads, num_kv_heads, `num_heads=${num_heads} cannot share num_kv_heads=${num_kv_heads}`)) ||
    (kept ? `tokens=${tokens} are the last of num_keys=${num_keys}, which the cache holds: they cannot be more.` : "")
  );
}

/**
 * The sizes by their letters.
 * @param {Asked} asked
 * @returns {Sizes}
 */
export function sizesOf({ mode, batch, tokens, num_keys, d_model, num_heads, num_kv_heads, d_head }) {
  const [N, S] = [tokens, mode === "cross" || mode === "cache" ? num_keys : tokens];
  const G = num_kv_heads ?? num_heads;
  const ordered = mode === "causal" || mode === "cache";
  return {
    B: batch,
    N,
    S,
    D: d_model,
    H: num_heads,
    G,
    K: d_head ?? d_model / num_heads,
    P: N * S - (ordered ? (N * (N - 1)) / 2 : 0),
    R: num_heads / G,
  };
}

/**
 * A sum of products of sizes, "D·H·K + H·K", as a number without end; 0n where there is none.
 * @param {string} expression
 * @param {Sizes} sizes
 */
export function value(expression, sizes) {
  const factor = (/** @type {string} */ f) => BigInt(f in sizes ? sizes[/** @type {keyof Sizes} */ (f)] : f);
  const product = (/** @type {string} */ factors) => factors.split("·").reduce((all, f) => all * factor(f), 1n);
  return expression ? expression.split(" + ").reduce((all, factors) => all + product(factors), 0n) : 0n;
}

/**
 * A part with its numbers.
 * @typedef {object} Counted
 * @property {string} name
 * @property {string} label
 * @property {string} letters of its shape: "(B, N, D)"
 * @property {number[]} shape
 * @property {string} formula
 * @property {string} sentence
 * @property {string} lesson
 * @property {string} learned the formula of its parameters
 * @property {bigint} parameters
 * @property {string} work the formula of its FLOPs
 * @property {bigint} flops
 * @property {bigint} bytes that are kept
 */

/**
 * @param {Part} part
 * @param {Sizes} sizes
 * @param {Pick<Traits, "bias" | "bytes_per_number">} options
 * @returns {Counted}
 */
function counted(part, sizes, { bias, bytes_per_number }) {
  const filled = (/** @type {string} */ words) => words.replace(/\{(.+?)\}/g, (_, f) => exact(value(f, sizes)));
  const learned = bias && part.biases ? `${part.weights} + ${part.biases}` : part.weights;
  const formula = bias && part.biases ? `${part.formula} + b` : part.formula;
  return {
    name: part.name,
    label: part.label,
    letters: `(${part.shape})`,
    shape: part.shape.split(", ").map((side) => Number(value(side, sizes))),
    formula: filled(formula),
    sentence: filled(part.sentence + (sizes.R > 1 ? part.shared : "")),
    lesson: part.lesson,
    learned,
    parameters: value(learned, sizes),
    work: part.flops,
    flops: value(part.flops, sizes),
    bytes: part.name === "cache" ? BigInt(bytes_per_number) * value("2·B·G·S·K", sizes) : 0n,
  };
}

/**
 * Everything that is shown: the sizes, the parts there are in the order of the flow, and the whole layer.
 * @param {Traits} traits
 */
export function stateOf(traits) {
  const sizes = sizesOf(traits);
  const parts = traits._parts
    .filter(({ modes }) => modes.includes(traits.mode))
    .map((part) => counted(part, sizes, traits));
  const whole = parts[parts.length - 1];
  const flow = parts.slice(0, -1);
  for (const part of flow) {
    whole.parameters += part.parameters;
    whole.flops += part.flops;
    whole.bytes += part.bytes;
  }
  const there = (/** @type {string} */ name) => flow.some((part) => part.name === name);
  const pinned = there(traits.pinned) ? traits.pinned : "";
  const lit = traits.lit.filter(there);
  const shown = there(traits.pointed) ? traits.pointed : pinned || lit[0] || "";
  return {
    mode: traits.mode,
    sizes,
    flow,
    whole,
    lit,
    pinned,
    shown: flow.find(({ name }) => name === shown) ?? whole,
  };
}

/** @typedef {ReturnType<typeof stateOf>} State */

/** A count with a comma between thousands, exact however large it is. */
export const exact = (/** @type {bigint | number} */ count) => grouped(/** @type {number} */ (count)); // it takes both

export const bytesInWords = (/** @type {bigint} */ bytes) => amount(Number(bytes), "B");

/** "MHA", "GQA" or "MQA". */
export const kindOf = (/** @type {Sizes} */ { H, G }) => (G === H ? "MHA" : G === 1 ? "MQA" : "GQA");

const LARGE = ["million", "billion", "trillion", "quadrillion", "quintillion", "sextillion"];

/**
 * A count as one says it: exact below a million, in three digits from there on.
 * @param {bigint} count
 */
export function inWords(count) {
  if (count < 1000000n) return exact(count);
  let rest = Number(count) / 1e6;
  let step = 0;
  for (; rest >= 999.5 && step < LARGE.length - 1; step++) rest /= 1000;
  return `${Number(rest.toPrecision(3))} ${LARGE[step]}`;
}

/** A side of a shape in few letters: 4096, 131k. */
export const side = (/** @type {number} */ n) => (n < 10000 ? String(n) : `${Math.round(n / 1000)}k`);

/** A shape in numbers: "(1, 512, 64)". */
export const tuple = (/** @type {number[]} */ shape) => `(${shape.map(side).join(", ")})`;
