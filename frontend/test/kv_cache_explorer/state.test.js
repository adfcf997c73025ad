// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { chartOf, limitPlace } from "../../src/kv_cache_explorer/layout.js";
import { headsInWords, noteInWords, partsInWords, perSecond, reading } from "../../src/kv_cache_explorer/speech.js";
import { derived, nearestStep, size } from "../../src/kv_cache_explorer/state.js";

/** @param {Partial<import("../../src/kv_cache_explorer/traits.js").Store>} more */
const store = (more = {}) => ({
  ...{ kind: "global", layers: 2, heads: 4, key: 8, value: 8, fixed: 0, window: 0, every: 1 },
  ...more,
});
/** @param {Partial<import("../../src/kv_cache_explorer/traits.js").Preset>} more */
const preset = (more = {}) => ({
  ...{ name: "plain", group: "", source: "", layers: "2 global", pattern: "GG", shared: 0, kinds: [] },
  ...{ num_heads: 8, num_kv_heads: 4, latent: 0, full: 256, stores: [store()], left_out: "", kept: "keys and values" },
  ...{ context: 1024, published: 1024 },
  ...more,
});
/** @param {Partial<import("../../src/kv_cache_explorer/traits.js").Traits>} more */
const state = (more = {}) =>
  derived({
    ...{ model: "plain", context: 1024, batch: 1, num_kv_heads: 4, bytes_per_number: 2, budget: 8, bandwidth: 100 },
    ...{ _presets: [preset()], _others: [], _contexts: [128, 1024, 8192], _batches: [1, 2, 4], _colours: [] },
    ...more,
  });

test("the cache is layers × heads × (key + value) × tokens × bytes, for every number of heads that divides", () => {
  const now = state();
  assert.equal(now.bytes, 2 * 4 * 16 * 1024 * 2);
  assert.deepEqual(
    now.bars.map(({ heads, bytes }) => [heads, bytes / now.bytes]),
    [
      [1, 0.25],
      [2, 0.5],
      [4, 1],
      [8, 2],
    ],
  );
  assert.equal(now.full, 2 * now.bytes);
  assert.equal(now.rate, 100e9 / now.bytes);
});

test("a window ends the growth, a state has none, and a latent takes no notice of heads", () => {
  const local = state({ _presets: [preset({ stores: [store({ kind: "local", window: 128 })] })] });
  assert.deepEqual(
    local.over.map(({ bytes }) => bytes / local.over[0].bytes),
    [1, 1, 1],
  );
  assert.match(noteInWords(local), /^A sliding window: 2 layers keep the last 128 tokens\./);
  const linear = state({ _presets: [preset({ stores: [store({ kind: "state", fixed: 64, window: 1 })] })] });
  assert.deepEqual([linear.token, linear.bytes], [0, 2 * 64 * 2]);
  const latent = state({ _presets: [preset({ latent: 24, stores: [store({ kind: "latent", fixed: 24 })] })] });
  assert.deepEqual([latent.heads, latent.bytes, latent.bars[0].heads], [null, 2 * 24 * 1024 * 2, null]);
  assert.deepEqual(partsInWords(latent), ["2 layers × 24 numbers × 2 bytes × 1,024 tokens = 96 KiB"]);
});

test("every axis holds the curves and the memory there is", () => {
  for (const budget of [8, 80]) {
    const { up, series } = chartOf(state({ budget }), 400);
    const all = series.flatMap(({ curve }) => (curve ?? []).map(([, y]) => y));
    assert.ok(up.low <= Math.min(...all) && Math.max(...all) <= up.high);
  }
});

test("the memory's line stands where it cuts the bars, or beyond them", () => {
  assert.equal(limitPlace(state()), null);
  const much = state({ _presets: [preset({ stores: [store({ layers: 2 ** 18 })] })], context: 128 });
  assert.equal(limitPlace(much), (100 * 8 * 2 ** 30) / (much.bytes * 2));
});

test("numbers and places are said in few digits", () => {
  assert.deepEqual([9.31, 0.0931, 93.1, 9313.2].map(perSecond), ["9.3", "0.093", "93", "9,313"]);
  assert.deepEqual([64, 1536, 131072, 1.5 * 2 ** 40].map(size), ["64 bytes", "1.50 KiB", "128 KiB", "1.50 TiB"]);
  assert.deepEqual(
    [1, 8, 2, null].map((heads) => headsInWords(state(), heads)),
    ["1 (MQA)", "8 (MHA)", "2", "latent"],
  );
  assert.equal(reading(state(), 8192), "8,192 tokens: 2 MiB; plain multi-head layers 4 MiB");
  assert.equal(reading(state({ context: 1000 }), 1000), "1,000 tokens: 250 KiB; plain multi-head layers 500 KiB");
  assert.equal(nearestStep([1, 10, 100], 40), 1);
});

test("models are compared from the smallest cache on", () => {
  const other = preset({ name: "small", stores: [store({ heads: 1 })], num_kv_heads: 1 });
  assert.deepEqual(
    state({ _presets: [preset(), other] }).all.map(({ model }) => model.name),
    ["small", "plain"],
  );
});
