// @ts-check
// What is derived from the traits: the reading on show, and where the heads look.

import { decoded } from "../shared/traits.js";
import { weightsOf } from "../shared/weights.js";
import { shownWords } from "../shared/words.js";

/** @typedef {import("./traits.js").Traits} Traits */

const SHOWN = 3; // answers

/** @param {Pick<Traits, "_readings" | "_typed">} traits */
export const readings = ({ _readings, _typed }) => [..._readings, ..._typed];

/** @param {Traits} traits */
export function derived(traits) {
  const all = readings(traits);
  const reading = all.find(({ sentence }) => sentence === traits.sentence) ?? all[0];
  const [n, H] = [reading.tokens.length, traits.num_heads];
  const bytes = decoded(reading.weights, Uint8Array) ?? new Uint8Array();
  const from = traits.layer * H * n * n;
  const weights = weightsOf(bytes.subarray(from, from + H * n * n));
  const shares = [...(decoded(reading.shares, Float32Array) ?? [])];
  const word = Math.min(traits.word, n - 1);
  const rows = looks({ weights, shares, n, H, word });
  const top = traits.stretch ? Math.max(...shares, ...rows.flat()) || 1 : 1;
  const [head, pointed] = traits.hovered;
  return {
    reading,
    n,
    H,
    layer: traits.layer,
    stretch: traits.stretch,
    words: shownWords(reading.tokens),
    word,
    shares,
    rows,
    top,
    answers: answers(reading.probabilities, traits.names),
    pointed: head < H && pointed < n ? { head, word: pointed } : null,
  };
}
/** @typedef {ReturnType<typeof derived>} State */

/**
 * Where the heads of one layer look from a word, H rows of n; with word -1 from the answer: every row of a head's map, counted
 * by its word's share.
 * @param {{ weights: Float32Array, shares: ArrayLike<number>, n: number, H: number, word: number }} data weights (H, n, n), shares (n)
 * @returns {number[][]}
 */
export function looks({ weights, shares, n, H, word }) {
  return Array.from({ length: H }, (_, h) => {
    const row = (/** @type {number} */ i) => weights.subarray((h * n + i) * n, (h * n + i + 1) * n);
    if (word >= 0) return [...row(word)];
    const mean = Array(n).fill(0);
    for (let i = 0; i < n; i++) for (const [j, weight] of row(i).entries()) mean[j] += shares[i] * weight;
    return mean;
  });
}

/**
 * The places of the `count` largest numbers, the largest first.
 * @param {number[]} numbers
 * @param {number} count
 */
export const largest = (numbers, count) => [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a]).slice(0, count);

/**
 * The likeliest answers, and what the others share.
 * @param {number[]} probabilities
 * @param {string[]} names
 */
export function answers(probabilities, names) {
  const best = largest(probabilities, SHOWN).map((i) => ({ name: names[i], probability: probabilities[i] }));
  const rest = 1 - best.reduce((sum, { probability }) => sum + probability, 0);
  return { best, others: probabilities.length - best.length, rest: Math.max(0, rest) };
}

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * [head, word] after a key, or null where the key leads nowhere. Nothing was pointed at: the first.
 * @param {string} key
 * @param {Pick<State, "pointed" | "n" | "H">} state
 */
export function walked(key, { pointed, n, H }) {
  const step = { ...STEPS, Home: [0, -n], End: [0, n] }[key];
  if (!step) return null;
  if (!pointed) return [0, 0];
  const kept = (/** @type {number} */ place, /** @type {number} */ count) => Math.max(0, Math.min(count - 1, place));
  return [kept(pointed.head + step[0], H), kept(pointed.word + step[1], n)];
}
