// @ts-check
// What HeadExplorer computes: weights from queries and keys, masks, hidden words, and the pixels of a map.

const { abs, ceil, floor, max, min, sqrt } = Math;

/**
 * Turns one row of scores into weights, in place: softmax over the allowed cells, 0 elsewhere. A row that sees nothing is
 * all 0.
 * @template {number[] | Float64Array} Row
 * @param {Row} row
 * @param {ArrayLike<number> | null} [allowed]
 */
export function softmax(row, allowed = null) {
  let [top, sum] = [-Infinity, 0];
  const seen = (/** @type {number} */ j) => !allowed || allowed[j];
  for (let j = 0; j < row.length; j++) if (seen(j) && row[j] > top) top = row[j];
  for (let j = 0; j < row.length; j++) sum += row[j] = seen(j) ? Math.exp(row[j] - top) : 0;
  if (sum > 0) for (let j = 0; j < row.length; j++) row[j] /= sum;
  return row;
}

/**
 * Computes the maps (H, N, N) of the heads cut from query (N, width) and key (N, keyWidth) into `maps`, a row with every
 * next(): head h takes the K = width / H columns from h·K on, and of the keys those of its group's head, where there are
 * fewer of these.
 * @param {Float32Array} maps
 * @param {Float32Array} query
 * @param {Float32Array} key
 * @param {number} n
 * @param {number} width
 * @param {number} heads
 * @param {Uint8Array | null} [allowed] (N, N)
 * @param {number} [keyHeads] a divisor of heads
 */
export function* headRows(maps, query, key, n, width, heads, allowed = null, keyHeads = heads) {
  const dHead = width / heads;
  const keyWidth = keyHeads * dHead;
  const scale = 1 / sqrt(dHead);
  const row = new Float64Array(n);
  for (let h = 0; h < heads; h++) {
    const keyFrom = floor((h * keyHeads) / heads) * dHead;
    for (let i = 0; i < n; i++) {
      const from = i * width + h * dHead;
      for (let step = 0; step < n; step += 4) {
        const j = max(0, min(step, n - 4)); // four keys at a time: one key's sum would wait for itself
        let a = 0;
        let b = 0;
        let c = 0;
        let d = 0;
        for (let q = from, k = j * keyWidth + keyFrom; q < from + dHead; q++, k++) {
          a += query[q] * key[k];
          b += query[q] * key[k + keyWidth];
          c += query[q] * key[k + 2 * keyWidth];
          d += query[q] * key[k + 3 * keyWidth];
        }
        row[j] = a * scale; // beyond the end of a row of fewer than four nothing is kept
        row[j + 1] = b * scale;
        row[j + 2] = c * scale;
        row[j + 3] = d * scale;
      }
      softmax(row, allowed?.subarray(i * n, (i + 1) * n));
      maps.set(row, (h * n + i) * n);
      yield;
    }
  }
}

/**
 * The keys (N, width) of `heads` heads as fewer heads (N, keyHeads·K): each the mean of the heads of its group.
 * @param {Float32Array} key
 * @param {number} width
 * @param {number} heads
 * @param {number} keyHeads
 */
export function sharedKeys(key, width, heads, keyHeads) {
  if (keyHeads === heads) return key;
  const [dHead, size] = [width / heads, heads / keyHeads];
  const keyWidth = keyHeads * dHead;
  const shared = new Float32Array((key.length / width) * keyWidth);
  for (let at = 0; at < shared.length; at++) {
    const [column, row] = [at % keyWidth, floor(at / keyWidth)];
    const first = row * width + floor(column / dHead) * size * dHead + (column % dHead);
    let sum = 0;
    for (let member = 0; member < size; member++) sum += key[first + member * dHead];
    shared[at] = sum / size;
  }
  return shared;
}

/**
 * An order of `width` columns that follows from the seed; Python's _projection.py has the same. Seed 0 is the order they have.
 * @param {number} width
 * @param {number} seed
 */
export function permutation(width, seed) {
  const order = Array.from({ length: width }, (_, column) => column);
  if (!seed) return order;
  let state = seed % 2 ** 32;
  const step = () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  step(); // of small seeds the first numbers are alike
  for (let i = width - 1; i > 0; i--) {
    const j = floor(step() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * The columns of a matrix (N, width) in another order.
 * @param {Float32Array} matrix
 * @param {number[]} order
 */
export function reordered(matrix, order) {
  const width = order.length;
  return matrix.map((_, at) => matrix[at - (at % width) + order[at % width]]);
}

/**
 * The cells that may be seen, as 0 and 1: the given mask (any rows of n), joined with the causal one and with a window.
 * null when all may.
 * @param {number} n
 * @param {Uint8Array | null} mask
 * @param {boolean} causal
 * @param {number} [width]
 */
export function allowedCells(n, mask, causal, width = 0) {
  if (!mask && !causal && !width) return null;
  return new Uint8Array(mask?.length ?? n * n).map((_, cell) => {
    const back = floor(cell / n) - (cell % n);
    return (!mask || mask[cell]) && (!causal || back >= 0) && (!width || abs(back) < width) ? 1 : 0;
  });
}

/**
 * The `rows` of a map (rows of n keys) with only the `seen` keys in them, each divided by what is left of it: held is the
 * share of the weight that was taken away, in the mean of the rows. For scores, the same as a mask over the keys that hide.
 * @param {Float32Array} numbers
 * @param {number} n
 * @param {number[]} seen
 * @param {number[]} [rows]
 */
export function renormalised(numbers, n, seen, rows = seen) {
  const map = new Float32Array(rows.length * seen.length);
  let [at, held] = [0, 0];
  for (const row of rows) {
    const from = row * n;
    let [all, sum] = [0, 0];
    for (let j = 0; j < n; j++) all += numbers[from + j];
    for (const j of seen) sum += numbers[from + j];
    for (const j of seen) map[at++] = sum > 0 ? numbers[from + j] / sum : 0;
    held += (all - sum) / rows.length;
  }
  return { map, held };
}

/**
 * A picture of the map (rows of n cells), one colour a pixel: 0 is the palette's colour `zero`, a 1 is `unit` colours
 * further on. With pool > 1 a pixel shows the largest (in size) of pool × pool numbers.
 * @param {ArrayLike<number>} numbers
 * @param {number} n
 * @param {number} pool
 * @param {ArrayLike<number>} palette
 * @param {number} zero
 * @param {number} unit
 */
export function shades(numbers, n, pool, palette, zero, unit) {
  const rows = numbers.length / n;
  const [high, wide] = [rows, n].map((cells) => ceil(cells / pool));
  const pixels = new Uint32Array(high * wide);
  for (let y = 0, pixel = 0; y < high; y++) {
    const bottom = min(rows, (y + 1) * pool);
    for (let x = 0; x < wide; x++, pixel++) {
      const right = min(n, (x + 1) * pool);
      let high = 0; // two comparisons without a jump: three million cells take a third less than with one of sizes
      let low = 0;
      for (let i = y * pool; i < bottom; i++) {
        for (let at = i * n + x * pool; at < i * n + right; at++) {
          // biome-ignore lint/complexity/useMathMinMax: Math.max takes a third longer, over three million cells
          high = numbers[at] > high ? numbers[at] : high;
          // biome-ignore lint/complexity/useMathMinMax: the same
          low = numbers[at] < low ? numbers[at] : low;
        }
      }
      pixels[pixel] = palette[(zero + unit * (high >= -low ? high : low) + 0.5) | 0]; // `round` takes twice as long
    }
  }
  return pixels;
}

/** @param {Float32Array} numbers */
export function largestOf(numbers) {
  let largest = 0;
  for (const number of numbers) if (abs(number) > largest) largest = abs(number);
  return largest;
}

/**
 * Parameters of the four projections W^Q, W^K, W^V and W^O: no head count in it, as long as every head has its own keys.
 * @param {number} width
 * @param {boolean} bias
 * @param {number} [shared] the part of the heads that have keys and values of their own
 */
export const parameterCount = (width, bias, shared = 1) => 2 * (1 + shared) * (width * width + (bias ? width : 0));

/**
 * The pins after a click on a head: again unpins; a second stands beside the first; a third takes the second's place.
 * @param {number[]} pinned
 * @param {number} head
 */
export function togglePin(pinned, head) {
  return pinned.includes(head) ? pinned.filter((pin) => pin !== head) : [...pinned.slice(0, 1), head];
}
