// @ts-check
// The arithmetic of one query: its five stages in each head, and what the heads add to the output.

/**
 * @typedef Inputs query and key hold n rows of `width` numbers, value n rows of `valueWidth`; of many heads, head by head
 * @property {Float32Array} query
 * @property {Float32Array} key
 * @property {Float32Array} value
 * @property {number} n
 * @property {number} width
 * @property {number} valueWidth
 * @property {number} row the token that looks
 * @property {number} [temperature]
 * @property {boolean} [causal]
 * @property {ArrayLike<number> | null} [mask] (n, n), 1 = may attend
 */
/** @typedef {ReturnType<typeof stages>} Stages */

/**
 * Row i of numbers that lie row by row.
 * @param {Float32Array} numbers
 * @param {number} i
 * @param {number} size
 */
export const rowOf = (numbers, i, size) => [...numbers.subarray(i * size, (i + 1) * size)];

/**
 * The five stages of one head for one row of query: scaled = scores / (√width · temperature); allowed[j] says whether the
 * row may see token j; terms[j] = weights[j] · value[j]. entropy is in nats.
 * @param {Inputs} inputs
 */
export function stages({ query, key, value, n, width, valueWidth, row, temperature = 1, causal = false, mask = null }) {
  const q = rowOf(query, row, width);
  const scores = Array.from({ length: n }, (_, j) => q.reduce((sum, x, i) => sum + x * key[j * width + i], 0));
  const scaled = scores.map((score) => score / (Math.sqrt(width) * temperature));
  const allowed = scores.map((_, j) => (!causal || j <= row) && (!mask || mask[row * n + j] === 1));
  const weights = softmax(scaled, allowed);
  const terms = weights.map((weight, j) => rowOf(value, j, valueWidth).map((v) => weight * v));
  const output = Array.from({ length: valueWidth }, (_, i) => terms.reduce((sum, term) => sum + term[i], 0));
  const entropy = -weights.reduce((sum, w) => sum + (w > 0 ? w * Math.log(w) : 0), 0);
  return { scores, scaled, allowed, weights, terms, output, entropy };
}

/**
 * Softmax over the allowed scores, 0 elsewhere; all 0 where nothing is allowed.
 * @param {number[]} scores
 * @param {boolean[]} allowed
 */
export function softmax(scores, allowed) {
  const top = Math.max(...scores.filter((_, j) => allowed[j]));
  const powers = scores.map((score, j) => (allowed[j] ? Math.exp(score - top) : 0));
  const sum = powers.reduce((total, power) => total + power, 0);
  return sum > 0 ? powers.map((power) => power / sum) : powers;
}

/**
 * The part of one head in numbers that lie head by head.
 * @param {Float32Array} numbers
 * @param {number} h
 * @param {number} H
 */
export const partOf = (numbers, h, H) => numbers.subarray((h * numbers.length) / H, ((h + 1) * numbers.length) / H);

/**
 * stages() of head h of H.
 * @param {Inputs} inputs
 * @param {number} h
 * @param {number} H
 */
export function stagesOfHead({ query, key, value, ...rest }, h, H) {
  return stages({ query: partOf(query, h, H), key: partOf(key, h, H), value: partOf(value, h, H), ...rest });
}

/**
 * shares[h] = outputs[h] · W^O's rows of head h; total adds them.
 * @param {number[][]} outputs a head's V numbers each
 * @param {Float32Array} wO H·V rows of D
 * @param {number} D
 */
export function sharesOf(outputs, wO, D) {
  const shares = outputs.map((output, h) => {
    const rows = partOf(wO, h, outputs.length);
    return Array.from({ length: D }, (_, d) => output.reduce((sum, x, i) => sum + x * rows[i * D + d], 0));
  });
  const total = Array.from({ length: D }, (_, d) => shares.reduce((sum, share) => sum + share[d], 0));
  return { shares, total };
}
