// What HeadExplorer computes: weights from queries and keys, masks, hidden words, and the colours of a map.

/** Turns one row of scores into weights, in place: softmax over the allowed cells, 0 elsewhere. A row that sees nothing is all 0. */
export function softmax(row, allowed = null) {
  let top = -Infinity;
  for (let j = 0; j < row.length; j++) if ((!allowed || allowed[j]) && row[j] > top) top = row[j];
  let sum = 0;
  for (let j = 0; j < row.length; j++) {
    row[j] = !allowed || allowed[j] ? Math.exp(row[j] - top) : 0;
    sum += row[j];
  }
  if (sum > 0) for (let j = 0; j < row.length; j++) row[j] /= sum;
  return row;
}

/**
 * Computes the maps (H, N, N) of the heads cut from query and key (N, width) into `maps`, a row with every next(): head h takes
 * the columns h·K … (h+1)·K, K = width / H.
 */
export function* headRows(maps, query, key, n, width, heads, allowed = null) {
  const dHead = width / heads;
  const scale = 1 / Math.sqrt(dHead);
  const row = new Float64Array(n);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < n; i++) {
      const from = i * width + h * dHead;
      for (let step = 0; step < n; step += 4) {
        const j = Math.max(0, Math.min(step, n - 4)); // four keys at a time: one key's sum would wait for itself
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
      softmax(row, allowed && allowed.subarray(i * n, (i + 1) * n));
      maps.set(row, (h * n + i) * n);
      yield;
    }
  }
}

export const SQUARES = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

/** Weights of a recording from the bytes that were sent: the square of byte / 255. */
export function weightsOf(bytes) {
  const weights = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) weights[i] = SQUARES[bytes[i]];
  return weights;
}

/** The cells (N, N) that may be seen, as 0 and 1: the given mask, joined with the causal one and with a window. null when all may. */
export function allowedCells(n, mask, causal, width = 0) {
  if (!mask && !causal && !width) return null;
  return new Uint8Array(n * n).map((_, cell) => {
    const back = Math.floor(cell / n) - (cell % n);
    return (!mask || mask[cell]) && (!causal || back >= 0) && (!width || Math.abs(back) < width) ? 1 : 0;
  });
}

/**
 * The rows of maps (H, R, N) with only the `seen` keys in them, each divided by what is left of it: { maps (H, M, M), held },
 * held being the share of each head's weight that was taken away. For scores, the same as a mask over the keys that hide.
 */
export function renormalised(maps, heads, n, seen, rows = n, seenRows = seen) {
  const width = seen.length;
  const left = new Float32Array(heads * seenRows.length * width);
  const held = new Float64Array(heads);
  let at = 0;
  for (let h = 0; h < heads; h++) {
    for (const row of seenRows) {
      const from = (h * rows + row) * n;
      let [all, sum] = [0, 0];
      for (let j = 0; j < n; j++) all += maps[from + j];
      for (let j = 0; j < width; j++) sum += maps[from + seen[j]];
      for (let j = 0; j < width; j++) left[at++] = sum > 0 ? maps[from + seen[j]] / sum : 0;
      held[h] += (all - sum) / seenRows.length;
    }
  }
  return { maps: left, held };
}

/**
 * A picture of the map (n, n) that begins at `from`, one colour a pixel; with pool > 1 a pixel shows the largest (in size) of
 * pool × pool numbers.
 */
export function shades(numbers, from, n, pool, colour) {
  const side = Math.ceil(n / pool);
  const pixels = new Uint32Array(side * side);
  for (let y = 0, pixel = 0; y < side; y++) {
    const bottom = Math.min(n, (y + 1) * pool);
    for (let x = 0; x < side; x++, pixel++) {
      const right = Math.min(n, (x + 1) * pool);
      let high = 0; // two comparisons without a jump: three million cells take a third less than with one of sizes
      let low = 0;
      for (let i = y * pool; i < bottom; i++) {
        for (let at = from + i * n + x * pool; at < from + i * n + right; at++) {
          high = numbers[at] > high ? numbers[at] : high;
          low = numbers[at] < low ? numbers[at] : low;
        }
      }
      pixels[pixel] = colour(high >= -low ? high : low);
    }
  }
  return pixels;
}

export function largestOf(numbers) {
  let largest = 0;
  for (const number of numbers) if (Math.abs(number) > largest) largest = Math.abs(number);
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
        table[4 * i + c] = Math.round(channel(first, c) * (1 - part) + channel(last, c) * part);
    }
  }
  return table;
}

/** The pins after a click on a head: again unpins; a second stands beside the first; a third takes the second's place. */
export function togglePin(pinned, head) {
  return pinned.includes(head) ? pinned.filter((pin) => pin !== head) : [...pinned.slice(0, 1), head];
}
