// @ts-check
// The tiles one by one, and online softmax over them: the arithmetic of chunked_attention (mha_lab/variants/chunked.py).

/**
 * A tile of scores, or, where columns are none (start = stop), the output of a block of queries that is written.
 * @typedef {{ first: number, end: number, start: number, stop: number }} Step rows first … end − 1, columns start … stop − 1
 *
 * What one query keeps from tile to tile, and what it was before this one.
 * @typedef {object} Running
 * @property {number} largest m
 * @property {number} shrink exp(old m − m)
 * @property {number} total Σ exp(s − m)
 * @property {number[]} summed Σ exp(s − m) · v
 *
 * @typedef {object} Tile
 * @property {number[][]} scores −∞ where masked
 * @property {number[][]} weights exp(s − m)
 * @property {Running[]} before
 * @property {Running[]} running
 * @property {number[][] | null} output where it is written
 * @property {number} held numbers in fast memory
 * @property {number} read numbers, so far
 * @property {number} written
 *
 * @typedef {{ N: number, K: number, V: number, query: Float32Array, key: Float32Array, value: Float32Array }} Data
 * @typedef {{ query_rows: number, key_columns: number, causal: boolean }} Sizes
 */

/**
 * In the order of chunked_attention; tiles that lie in the future are left out.
 * @param {number} N
 * @param {Sizes} sizes
 * @returns {Step[]}
 */
export function stepsOf(N, { query_rows, key_columns, causal }) {
  const steps = [];
  for (let first = 0; first < N; first += query_rows) {
    const end = Math.min(first + query_rows, N);
    for (let start = 0; start < (causal ? end : N); start += key_columns) {
      steps.push({ first, end, start, stop: Math.min(start + key_columns, N) });
    }
    steps.push({ first, end, start: 0, stop: 0 });
  }
  return steps;
}

/** q, k, v, the tile of scores, and m, l and o of each query. @param {number} rows @param {number} columns @param {{ K: number, V: number }} widths */
export const numbersHeld = (rows, columns, { K, V }) => rows * (K + V + 2) + columns * (K + V + rows);

/** Where all scores lie in slow memory: written, read, written as weights and read again, beside Q, K, V and O. */
export const numbersMovedInFull = (/** @type {number} */ N, /** @type {{ K: number, V: number }} */ { K, V }) =>
  4 * N * N + 2 * N * (K + V);

/**
 * Every step with its numbers.
 * @param {Data} data
 * @param {Sizes} sizes
 * @returns {(Step & Tile)[]}
 */
export function traced(data, sizes) {
  const { N, K, V } = data;
  /** @type {Running[]} */
  let running = [];
  let [read, written] = [0, 0];
  return stepsOf(N, sizes).map((step) => {
    const [rows, columns] = [step.end - step.first, step.stop - step.start];
    if (columns && step.start === 0) {
      read += rows * K;
      running = Array.from({ length: rows }, () => nothingYet(V));
    }
    const before = running;
    const scores = before.map((_, i) => scoresOf(data, sizes.causal, step.first + i, step));
    running = columns ? before.map((one, i) => added(one, scores[i], data, step.start)) : before;
    const output = columns ? null : running.map(({ summed, total }) => summed.map((sum) => sum / total));
    read += columns * (K + V);
    written += output ? rows * V : 0;
    const weights = scores.map((row, i) => row.map((score) => Math.exp(score - running[i].largest)));
    const held = numbersHeld(rows, columns, data);
    return { ...step, scores, weights, before, running, output, held, read, written };
  });
}

const nothingYet = (/** @type {number} */ V) => ({
  largest: -Infinity,
  shrink: 0,
  total: 0,
  summed: /** @type {number[]} */ (Array(V).fill(0)),
});

/** The scores of a query for the keys of a tile. @returns {number[]} */
function scoresOf(
  /** @type {Data} */ { K, query, key },
  /** @type {boolean} */ causal,
  /** @type {number} */ i,
  /** @type {Step} */ { start, stop },
) {
  return Array.from({ length: stop - start }, (_, at) => {
    const j = start + at;
    if (causal && j > i) return -Infinity;
    let sum = 0;
    for (let k = 0; k < K; k++) sum += query[i * K + k] * key[j * K + k];
    return sum / Math.sqrt(K);
  });
}

/**
 * A tile added to what a query keeps: online softmax.
 * @returns {Running}
 */
function added(
  /** @type {Running} */ { largest: old, total, summed },
  /** @type {number[]} */ scores,
  /** @type {Data} */ { V, value },
  /** @type {number} */ start,
) {
  const largest = Math.max(old, ...scores);
  const shrink = Math.exp(old - largest);
  const weights = scores.map((score) => Math.exp(score - largest));
  return {
    largest,
    shrink,
    total: weights.reduce((sum, weight) => sum + weight, total * shrink),
    summed: summed.map((so, d) =>
      weights.reduce((sum, weight, at) => sum + weight * value[(start + at) * V + d], so * shrink),
    ),
  };
}
