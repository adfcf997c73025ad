// @ts-check
// What is derived from the traits: bytes of a cache, for any number of key/value heads, and how fast they can be read.

import { entries } from "../shared/layer_kinds.js";
import { divisors, grouped } from "../shared/numbers.js";

/** @typedef {import("./traits.js").Preset} Preset */
/** @typedef {import("./traits.js").Store} Store */
/** @typedef {{ heads: number | null, context: number, batch: number, width: number }} Now heads null: the latent */

export const GIB = 2 ** 30;

/**
 * Key/value heads of a store where the model has `heads`: some models' local layers have twice as many.
 * @param {Preset} model
 * @param {Store} store
 * @param {number} heads
 */
export const headsOf = ({ num_heads, num_kv_heads }, store, heads) =>
  Math.min(num_heads, Math.floor((heads * store.heads) / num_kv_heads));

/**
 * Numbers an entry in one layer: a key and a value for each head, or one latent for all (heads null).
 * @param {Preset} model
 * @param {Store} store
 * @param {number | null} heads
 */
export function numbersKept(model, store, heads) {
  const fixed = store.kind === "state" || (heads === null && store.fixed > 0);
  return fixed ? store.fixed : headsOf(model, store, heads ?? model.num_kv_heads) * (store.key + store.value);
}

/**
 * Bytes of the cache of `batch` texts.
 * @param {Preset} model
 * @param {Now} now
 */
export function cacheBytes(model, { heads, context, batch, width }) {
  const kept = model.stores.map((store) => store.layers * entries(store, context) * numbersKept(model, store, heads));
  return batch * kept.reduce((total, numbers) => total + numbers, 0) * width;
}

/**
 * Bytes that one token adds to the cache of one text while no window is full.
 * @param {Preset} model
 * @param {Pick<Now, "heads" | "width">} now
 */
export function tokenBytes(model, { heads, width }) {
  const growing = model.stores.filter(({ kind }) => kind !== "state");
  const numbers = growing.map((store) => (store.layers * numbersKept(model, store, heads)) / store.every);
  return Math.floor(numbers.reduce((total, each) => total + each, 0) * width);
}

/**
 * A number of bytes in words: 128 KiB, 1.5 GiB.
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [count, unit] = [bytes, 0];
  for (; count >= 1024 && unit < 4; unit++) count /= 1024;
  const digits = count >= 100 || Number.isInteger(count) ? 0 : count >= 10 ? 1 : 2;
  return `${grouped(count, digits)} ${units[unit]}`;
}

/**
 * The step of a slider that is nearest to a value, which Python may set between two steps.
 * @param {number[]} values
 * @param {number} value
 */
export const nearestStep = (values, value) =>
  values.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(values[best] - value) ? i : best), 0);

/** @param {Preset} model */
const ownHeads = (model) => (model.latent ? null : model.num_kv_heads);

/**
 * Everything that is shown: the cache, a bar for every number of key/value heads, the cache at every context, and the
 * caches of all models there.
 * @param {import("./traits.js").Traits} traits
 */
export function derived(traits) {
  const model = traits._presets.find(({ name }) => name === traits.model) ?? traits._presets[0];
  const { context, batch, bytes_per_number: width, bandwidth, budget } = traits;
  const heads = model.latent ? null : traits.num_kv_heads;
  const now = { heads, context, batch, width };
  const bytes = cacheBytes(model, now);
  const choices = divisors(model.num_heads);
  const bars = [...(model.latent ? [null] : []), ...choices].map((count) => ({
    heads: count,
    bytes: cacheBytes(model, { ...now, heads: count }),
  }));
  const over = traits._contexts.map((tokens) => ({
    context: tokens,
    bytes: cacheBytes(model, { ...now, context: tokens }),
    full: model.full * tokens * batch * width,
  }));
  const all = traits._presets.map((one) => ({
    model: one,
    token: tokenBytes(one, { heads: ownHeads(one), width }),
    bytes: cacheBytes(one, { ...now, heads: ownHeads(one) }),
    full: one.full * context * batch * width,
  }));
  return {
    ...now,
    model,
    bytes,
    token: tokenBytes(model, now),
    full: model.full * context * batch * width,
    bandwidth,
    rate: (bandwidth * 1e9) / bytes,
    budget,
    choices,
    bars,
    over,
    all: all.sort((a, b) => a.bytes - b.bytes),
  };
}

/** @typedef {ReturnType<typeof derived>} State */
