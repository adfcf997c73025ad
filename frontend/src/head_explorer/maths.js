// What HeadExplorer computes: weights from queries and keys, masks, hidden words, and the colours of a map.

import { abs, ceil, floor, max, min, round, sqrt } from "../shared/common.js";

/** Turns one row of scores into weights, in place: softmax over the allowed cells, 0 elsewhere. A row that sees nothing is all 0. */
export function softmax(row, allowed = null) {
  let [top, sum] = [-Infinity, 0];
  const seen = (j) => !allowed || allowed[j];
  for (let j = 0; j < row.length; j++) if (seen(j) && row[j] > top) top = row[j];
  for (let j = 0; j < row.length; j++) sum += row[j] = seen(j) ? Math.exp(row[j] - top) : 0;
  if (sum > 0) for (let j = 0; j < row.length; j++) row[j] /= sum;
  return row;
}

/**
 * Computes the maps (H, N, N) of the heads cut from query and key (N, width) into `maps`, a row with every next(): head h takes
 * the columns h·K … (h+1)·K, K = width / H.
 */
export function* headRows(maps, query, key, n, width, heads, allowed = null) {
  const dHead = width / heads;
  const scale = 1 / sqrt(dHead);
  const row = new Float64Array(n);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < n; i++) {
      const from = i * width + h * dHead;
      for (let step = 0; step < n; step += 4) {
        const j = max(0, min(step, n - 4)); // four keys at a time: one key's sum would wait for itself
        let a = 0, b = 0, c = 0, d = 0;
        for (let q = from, k = j * width + h * dHead; q < from + dHead; q++, k++) {
          a += query[q] * key[k];
          b += query[q] * key[k + width];
          c += query[q] * key[k + 2 * width];
          d += query[q] * key[k + 3 * width];
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

const SQUARES = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

/** Weights of a recording from the bytes that were sent: the square of byte / 255. */
export function weightsOf(bytes) {
  const weights = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) weights[i] = SQUARES[bytes[i]];
  return weights;
}

/** The cells that may be seen, as 0 and 1: the given mask (any rows of n), joined with the causal one and with a window. null when all may. */
export function allowedCells(n, mask, causal, width = 0) {
  if (!mask && !causal && !width) return null;
  return new Uint8Array(mask?.length ?? n * n).map((_, cell) => {
    const back = floor(cell / n) - (cell % n);
    return (!mask || mask[cell]) && (!causal || back >= 0) && (!width || abs(back) < width) ? 1 : 0;
  });
}

/**
 * The `rows` of a map (rows of n keys) with only the `seen` keys in them, each divided by what is left of it: { map, held }, held
 * being the share of the weight that was taken away, in the mean of the rows. For scores, the same as a mask over the keys that hide.
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
          high = numbers[at] > high ? numbers[at] : high;
          low = numbers[at] < low ? numbers[at] : low;
        }
      }
      pixels[pixel] = palette[(zero + unit * (high >= -low ? high : low) + 0.5) | 0]; // `round` takes twice as long
    }
  }
  return pixels;
}

export function largestOf(numbers) {
  let largest = 0;
  for (const number of numbers) if (abs(number) > largest) largest = abs(number);
  return largest;
}

/** Parameters of the four projections W^Q, W^K, W^V and W^O: no head count in it. */
export const parameterCount = (width, bias) => 4 * width * width + (bias ? 4 * width : 0);

/** 256 colours (r, g, b, 255) through the given [index, "#rrggbb"] anchors. */
export function colourTable(anchors) {
  const table = new Uint8ClampedArray(256 * 4).fill(255);
  const channel = (hex, c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16);
  for (let a = 1; a < anchors.length; a++) {
    const [[from, first], [to, last]] = [anchors[a - 1], anchors[a]];
    for (let i = from; i <= to; i++) {
      const part = (i - from) / (to - from);
      for (let c = 0; c < 3; c++)
        table[4 * i + c] = round(channel(first, c) * (1 - part) + channel(last, c) * part);
    }
  }
  return table;
}

/** The pins after a click on a head: again unpins; a second stands beside the first; a third takes the second's place. */
export function togglePin(pinned, head) {
  return pinned.includes(head) ? pinned.filter((pin) => pin !== head) : [...pinned.slice(0, 1), head];
}
