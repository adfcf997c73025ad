// @ts-check
// What the sizes of a layer cost: the arithmetic of mha_lab.cost, without the kernel.

/** @typedef {import("./traits.js").Machine} Machine */
/** @typedef {import("./traits.js").Path} Path */
/** @typedef {{ B: number, n: number, d: number, H: number, G: number, K: number }} Layer */

/** @type {Path[]} */
export const PATHS = ["explicit", "fused"];
export const BYTES = { float32: 4, bfloat16: 2 };
const FRESH = 32 * 2 ** 20; // cost.FRESH

/** @param {number[]} values */
export const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * d_head where it is set, and d_model / num_heads where it is not.
 * @param {{ d_model: number, num_heads: number, d_head: number | null }} sizes
 */
export const headWidth = ({ d_model, num_heads, d_head }) => d_head ?? d_model / num_heads;

/**
 * Numbers in what a layer holds: x and context, query (as many as the heads' outputs), key (as value), scores.
 * @param {Layer} layer
 */
const held = ({ B, n, d, H, G, K }) => ({
  x: B * n * d,
  query: B * n * H * K,
  kv: B * n * G * K,
  scores: B * H * n * n,
});

/**
 * What the sizes cost, with machine as mha_lab.cost has it, or null. peak_bytes is null, moved_bytes and seconds are empty
 * where they are not counted.
 * @param {Omit<import("./traits.js").Sizes, "latent"> & { latent?: import("./traits.js").Latent | null }} sizes
 * @param {Machine | null} [machine]
 */
export function costs(sizes, machine = null) {
  const { n, d_model: d, num_heads: H, num_kv_heads: G, batch: B, dtype = "float32", bias = true } = sizes;
  const layer = { B, n, d, H, G, K: headWidth(sizes) };
  const { kv, scores } = held(layer);
  const matrices = sizes.latent ? latentMatrices(layer, sizes.latent) : plainMatrices(layer);
  const value = sizes.latent?.value ?? layer.K;
  /** @type {Record<string, number>} */
  const flops = {};
  for (const [name, numbers] of Object.entries(matrices)) flops[name] = 2 * B * n * numbers;
  Object.assign(flops, { QKᵀ: 2 * scores * layer.K, AV: 2 * scores * value });
  const counted = {
    flops,
    scores,
    scores_bytes: scores * BYTES[dtype],
    cache_bytes: (sizes.latent ? B * n * sizes.latent.numbers : 2 * kv) * BYTES[dtype],
    crossing: Math.floor(sum(Object.values(matrices)) / (H * (layer.K + value))),
  };
  if (sizes.latent) return { ...counted, ...latentCosts(matrices) };
  const rates = dtype === "float32" ? machine : null;
  return { ...counted, ...plainCosts(layer, { matrices, bias, bytes: BYTES[dtype], machine: rates }) };
}

/** @typedef {ReturnType<typeof costs>} Costs */

/** @param {Layer} layer */
const plainMatrices = ({ d, H, G, K }) => ({ "W^Q": d * H * K, "W^K": d * G * K, "W^V": d * G * K, "W^O": d * H * K });

/**
 * published.projections: a latent's two matrices count as W^K, but for its values' part of the second.
 * @param {Layer} layer
 * @param {import("./traits.js").Latent} latent
 */
function latentMatrices({ d, H, K }, { numbers, rotary, query, value }) {
  const inner = numbers - rotary; // what all heads' keys and values are made of
  return {
    "W^Q": query * (d + H * K) || d * H * K,
    "W^K": d * numbers + inner * H * (K - rotary),
    "W^V": inner * H * value,
    "W^O": H * value * d,
  };
}

/** @param {Record<string, number>} matrices */
function latentCosts(matrices) {
  return {
    parameters: sum(Object.values(matrices)),
    peak_bytes: /** @type {number | null} */ (null),
    moved_bytes: /** @type {Partial<Record<Path, number>>} */ ({}),
    seconds: /** @type {Partial<Record<Path, number>>} */ ({}),
  };
}

/**
 * @param {Layer} layer
 * @param {{ matrices: Record<string, number>, bias: boolean | "QKV", bytes: number, machine: Machine | null }} of
 */
function plainCosts(layer, { matrices, bias, bytes, machine }) {
  const { d, H, G, K } = layer;
  const biases = bias ? (H + 2 * G) * K + (bias === "QKV" ? 0 : d) : 0;
  /** @type {Partial<Record<Path, number>>} */
  const seconds = {};
  /** @type {Partial<Record<Path, number>>} */
  const moved = {};
  for (const path of PATHS) {
    if (machine) seconds[path] = predict(machine, layer, path);
    moved[path] = sum(Object.values(traffic(layer, path))) * bytes;
  }
  return {
    parameters: sum(Object.values(matrices)) + biases,
    peak_bytes: /** @type {number | null} */ (peakBytes(layer, bytes)),
    moved_bytes: moved,
    seconds,
  };
}

/**
 * Bytes at the worst moment of the explicit path: cost.explicit_peak_bytes.
 * @param {Layer} layer
 * @param {number} bytes
 */
function peakBytes(layer, bytes) {
  const { B, n, H, G } = layer;
  const { x, query, kv, scores } = held(layer);
  const merged = H > 1 && n > 1 ? query : 0;
  const queries = query + (B > 1 || G < H ? merged : 0);
  const copied = B > 1 && n > 1 && G > 1 ? kv : 0;
  const [projected, end] = [query + 2 * kv, query + merged + x];
  if (bytes === 2) {
    const inside = 4 * (projected + scores + queries + copied); // scores and weights in 32 bits
    return 2 * projected + Math.max(inside, 6 * (query + scores), 2 * (scores + end));
  }
  return (projected + scores + Math.max(end, queries + copied)) * bytes;
}

/**
 * Numbers that one forward pass reads and writes, by step: cost.traffic_bytes.
 * @param {Layer} layer
 * @param {Path} path
 * @returns {Record<string, number>}
 */
function traffic(layer, path) {
  const { d, H, G, K } = layer;
  const { x, query, kv, scores } = held(layer);
  /** @type {Record<string, number>} */
  const inner =
    path === "explicit"
      ? { scale: 2 * query, QKᵀ: query + kv + scores, softmax: 2 * scores, AV: scores + kv + query }
      : { attention: 2 * query + 2 * kv };
  return {
    "W^Q": x + d * H * K + query,
    "W^K": x + d * G * K + kv,
    "W^V": x + d * G * K + kv,
    ...inner,
    merge: 2 * query,
    "W^O": query + H * K * d + x,
  };
}

/**
 * Seconds of one forward pass in float32: cost.predict.
 * @param {Machine} machine
 * @param {Layer} layer
 * @param {Path} path
 */
export function predict(machine, layer, path) {
  const { B, n, d, K } = layer;
  const { x, query, kv, scores } = held(layer);
  /** @type {Record<string, number>} */
  const weights = plainMatrices(layer);
  /** @type {Record<string, number>} */
  const written = { "W^K": kv, "W^V": kv, QKᵀ: scores, softmax: 0, "W^O": x };
  let total = 0;
  for (const [step, moved] of Object.entries(traffic(layer, path))) {
    const table = machine.step_seconds[step in weights ? "W" : step];
    let work = 0;
    if (step in weights) work = B * n * weights[step] * at(table, B * n, d);
    else if (step === "softmax") work = scores * at(table, n, 1);
    else if (step !== "merge" && step !== "scale") {
      const widest = table[table.length - 1][1]; // that was calibrated
      work = scores * at(table, n, K) * Math.max(1, K / widest);
    }
    if (step !== "softmax") work = Math.max(work, (4 * moved) / machine.bytes_per_second);
    const result = 4 * (written[step] ?? query);
    total += work + (result >= FRESH ? result * machine.page_seconds : 0);
  }
  const calls = machine.call_seconds[path];
  return machine.device === "cpu" ? calls + total : Math.max(calls, total);
}

/**
 * Seconds at (n, width): between the rows of the table on logarithmic axes, beyond them as at its edge.
 * @param {[number, number, number][]} table
 * @param {number} n
 * @param {number} width
 */
function at(table, n, width) {
  const marks = (/** @type {0 | 1} */ axis) => [...new Set(table.map((row) => row[axis]))].sort((a, b) => a - b);
  const log = (/** @type {number} */ m, /** @type {number} */ w) =>
    Math.log(table.find((row) => row[0] === m && row[1] === w)?.[2] ?? Number.NaN);
  const [n0, n1, a] = between(marks(0), n);
  const [w0, w1, b] = between(marks(1), width);
  const narrow = (1 - a) * log(n0, w0) + a * log(n1, w0);
  const wide = (1 - a) * log(n0, w1) + a * log(n1, w1);
  return Math.exp((1 - b) * narrow + b * wide);
}

/**
 * The marks on either side of a position, and how far it is from the first to the second.
 * @param {number[]} marks
 * @param {number} position
 */
function between(marks, position) {
  const [first, last] = [marks[0], marks[marks.length - 1]];
  if (position <= first || marks.length === 1) return [first, first, 0];
  if (position >= last) return [last, last, 0];
  const i = marks.findIndex((mark) => mark > position);
  const [low, high] = [marks[i - 1], marks[i]];
  return [low, high, Math.log(position / low) / Math.log(high / low)];
}
