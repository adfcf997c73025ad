// @ts-check
// What is derived from the traits: what each head adds to one token's output, and their sum.

import { busiest } from "../shared/busiest.js";
import { decoded } from "../shared/traits.js";
import { shownWords } from "../shared/words.js";

/**
 * What stays as it is: words, names of features, and the numbers of all heads.
 * @param {import("./traits.js").Model} model
 */
export function given(model) {
  const features = model.get("features");
  return {
    words: shownWords(model.get("tokens")),
    features,
    H: model.get("num_heads"),
    D: features.length,
    heads: decoded(model.get("_heads"), Float32Array) ?? new Float32Array(),
    wO: decoded(model.get("_w_o"), Float32Array) ?? new Float32Array(),
  };
}
/** @typedef {ReturnType<typeof given>} Given */

/**
 * @param {Given} fixed
 * @param {{ position: number, active: number[], hovered: number }} traits
 */
export function derived({ words, features, H, D, heads, wO }, { position, active, hovered }) {
  const now = mix({ heads, wO, n: words.length, H, D, row: position, active });
  const feature = hovered >= 0 && hovered < D ? hovered : busiest(now.shares);
  const reach = Math.max(...now.shares.flat().map(Math.abs)) || 1;
  return { ...now, H, active, position, feature, reach, name: features[feature], word: words[position] };
}
/** @typedef {ReturnType<typeof derived>} State */

/**
 * One token's output. `heads` holds H·n·K numbers, `wO` H·K·D; brings[h] are the K numbers of head h, shares[h] =
 * brings[h] · W^O's rows of head h, sum adds the active heads and full all of them; missing = |full − sum| / |full|.
 * @param {{ heads: Float32Array, wO: Float32Array, n: number, H: number, D: number, row: number, active: number[] }} data
 */
export function mix({ heads, wO, n, H, D, row, active }) {
  const K = heads.length / (H * n);
  const brings = Array.from({ length: H }, (_, h) => [...heads.subarray((h * n + row) * K, (h * n + row + 1) * K)]);
  const shares = brings.map((numbers, h) =>
    Array.from({ length: D }, (_, d) => numbers.reduce((sum, x, k) => sum + x * wO[(h * K + k) * D + d], 0)),
  );
  const add = (/** @type {number[][]} */ rows) =>
    Array.from({ length: D }, (_, d) => rows.reduce((total, share) => total + share[d], 0));
  const [sum, full] = [add(shares.filter((_, h) => active.includes(h))), add(shares)];
  const size = Math.hypot(...full);
  const missing = size > 0 ? Math.hypot(...full.map((f, d) => f - sum[d])) / size : 0;
  return { brings, shares, sum, full, missing };
}

/**
 * The heads that are on after this one was switched.
 * @param {number[]} active
 * @param {number} head
 */
export const toggled = (active, head) =>
  active.includes(head) ? active.filter((other) => other !== head) : [...active, head].sort((a, b) => a - b);

/**
 * The first head that is still off, if any.
 * @param {number[]} active
 * @param {number} H
 */
export const nextOff = (active, H) => Array.from({ length: H }, (_, h) => h).find((h) => !active.includes(h));
