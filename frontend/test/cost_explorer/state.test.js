// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { axis, chartOf, chartPlaces, shownCharts } from "../../src/cost_explorer/layout.js";
import { facts, mapsInWords, noteInWords, reading } from "../../src/cost_explorer/speech.js";
import { CHOICES, derived, realModel, settled } from "../../src/cost_explorer/state.js";

const EIGHT = { d_model: 512, num_heads: 8, num_kv_heads: 8 };
/** @type {import("../../src/cost_explorer/traits.js").Sizes} */
const SIZES = { n: 1024, ...EIGHT, d_head: null, latent: null, batch: 1, dtype: "float32", bias: true };
const LATENT = { numbers: 576, rotary: 64, query: 0, value: 128 };
/** @param {Partial<import("../../src/cost_explorer/traits.js").Traits>} more */
const state = (more = {}) =>
  derived(
    {
      ...SIZES,
      against: "tokens",
      _models: [],
      _others: [],
      _machine: null,
      _measured: [],
      _measured_at: { d_model: 512, batch: 1, dtype: "float32" },
      _colours: [],
      ...more,
    },
    "",
  );
/**
 * @param {number} num_heads
 * @param {number} seconds
 * @returns {import("../../src/cost_explorer/traits.js").Measured}
 */
const point = (num_heads, seconds, n = 1024) => ({
  ...{ n, seconds, low: seconds / 2, high: 2 * seconds, path: "explicit" },
  ...{ num_heads, num_kv_heads: num_heads, d_head: null },
});

test("head counts are the nearest that divide, and key heads stay as many where none are shared", () => {
  const far = { d_model: 96, num_heads: 64, num_kv_heads: 5 };
  assert.deepEqual(settled(far, far), { d_model: 96, num_heads: 48, num_kv_heads: 6, d_head: null });
  const more = settled({ ...EIGHT, num_heads: 16 }, EIGHT);
  assert.deepEqual(more, { d_model: 512, num_heads: 16, num_kv_heads: 16, d_head: null });
  const shared = settled({ ...EIGHT, num_kv_heads: 2 }, EIGHT);
  assert.deepEqual(shared, { d_model: 512, num_heads: 8, num_kv_heads: 2, d_head: null });
  const kept = settled({ ...shared, num_heads: 1 }, shared);
  assert.deepEqual(kept, { d_model: 512, num_heads: 1, num_kv_heads: 1, d_head: null });
});

test("with a width of their own heads need not divide d_model, and without it they do again", () => {
  const free = settled({ ...EIGHT, num_heads: 5, d_head: 100 }, EIGHT);
  assert.deepEqual(free, { d_model: 512, num_heads: 5, num_kv_heads: 5, d_head: 100 });
  const back = settled({ ...free, d_head: null }, free);
  assert.deepEqual(back, { d_model: 512, num_heads: 4, num_kv_heads: 4, d_head: null });
});

test("with a latent every head has its own keys, and no head is as narrow as its rotated part", () => {
  const sizes = { ...SIZES, num_heads: 4, num_kv_heads: 4, d_head: 192, latent: LATENT };
  const { num_heads, num_kv_heads } = settled({ ...sizes, num_heads: 16 }, sizes);
  assert.deepEqual([num_heads, num_kv_heads], [16, 16]);
  assert.deepEqual(CHOICES.num_kv_heads(sizes), [4]);
  assert.equal(CHOICES.d_head(sizes)[0], 80);
  assert.equal(CHOICES.d_head(SIZES)[0], null);
});

test("points follow the head slider, and against heads all of one length are shown", () => {
  const measured = [point(8, 0.06), point(16, 0.09), point(16, 0.2, 2048)];
  const seconds = (/** @type {ReturnType<typeof state>} */ { points }) => points.map((one) => [one.place, one.seconds]);
  assert.deepEqual(seconds(state({ _measured: measured })), [[1024, 0.06]]);
  const sixteen = { num_heads: 16, num_kv_heads: 16, _measured: measured };
  assert.deepEqual(seconds(state(sixteen)), [
    [1024, 0.09],
    [2048, 0.2],
  ]);
  assert.deepEqual(seconds(state({ against: "heads", _measured: measured })), [
    [8, 0.06],
    [16, 0.09],
  ]);
  assert.deepEqual(seconds(state({ ...sixteen, num_kv_heads: 4 })), []);
  assert.deepEqual(seconds(state({ ...sixteen, batch: 2 })), []);
});

test("a chart of time appears with what was measured, and has an axis around a single point", () => {
  assert.deepEqual(
    shownCharts(state()).map(({ title }) => title),
    ["FLOPs", "Memory"],
  );
  for (const seconds of [1, 10, 100, 1e-5]) {
    const now = state({ _measured: [{ ...point(8, seconds), low: seconds, high: seconds }] });
    const time = shownCharts(now)[2];
    const { up, series } = chartOf(now, time, { width: 300, height: 200 });
    assert.ok(up.low <= seconds && seconds <= up.high && up.low < up.high && up.ticks.length > 1);
    assert.deepEqual(
      series.map(({ name, curve }) => [name, curve?.length]),
      [["● explicit", 0]],
    );
  }
});

test("ticks of bytes are powers of 32, all others of 10", () => {
  assert.deepEqual(axis("B", [3000, 5e8]).ticks, [1024, 32768, 1048576, 33554432, 1073741824]);
  assert.deepEqual(axis("s", [1000]).ticks, [1000, 10000]);
});

test("three charts stand side by side on a projector, and one below the other on a phone", () => {
  assert.equal(chartPlaces(960, 3).columns, 3);
  assert.equal(chartPlaces(780, 3).columns, 3);
  assert.deepEqual([chartPlaces(370, 3).columns, chartPlaces(370, 3).width], [1, 370]);
});

test("a place of a chart is read in words, measured beside predicted", () => {
  const now = state({ _measured: [point(8, 0.06)] });
  const [flops, , time] = shownCharts(now);
  assert.equal(reading(now, flops, 2048), "2,048 tokens: projections 4.29 GFLOP, QKᵀ and AV 8.59 GFLOP");
  assert.equal(reading(now, time, 1024), "1,024 tokens: explicit measured 60 ms (30 ms to 120 ms)");
  assert.equal(reading(now, time, 2048), "2,048 tokens: not measured");
  const one = state({ against: "heads" });
  assert.equal(reading(one, shownCharts(one)[0], 1), "1 head: projections 2.15 GFLOP, QKᵀ and AV 2.15 GFLOP");
});

test("what is stored, what is shared and what has no prediction are said", () => {
  const shared = state({ num_kv_heads: 2, _measured: [point(8, 0.06)] });
  const words = "8 maps of 1,024 × 1,024: 32 MiB, which the fused path never stores. 4 of a shade share keys.";
  assert.equal(mapsInWords(shared, { each: 1 }), words);
  assert.match(noteInWords(shared), /belong to d_model 512, 8 heads, 8 K\/V heads, batch 1, float32\.$/);
  assert.match(noteInWords(state({ d_head: 128 })), /^8 heads × 128 = 1,024, 2 × d_model/);
  assert.equal(noteInWords(state()), "");
});

test("a latent's facts are those that are counted", () => {
  const now = state({ d_head: 192, latent: LATENT });
  assert.deepEqual(
    facts(now).map(([, words]) => words),
    ["parameters, d_head 192", "50% in QKᵀ and AV", "8,388,608 scores", "latents of this layer"],
  );
  assert.deepEqual(
    shownCharts(now).map(({ curves }) => curves.map(({ name }) => name)),
    [
      ["projections", "QKᵀ and AV"],
      ["scores", "KV cache"],
    ],
  );
});

test("of models that are alike the chosen one is named, then the one of this length", () => {
  const real = (/** @type {string} */ name, /** @type {number} */ n) => /** @type {any} */ ({ ...SIZES, name, n });
  const models = [real("short", 512), real("long", 1024)];
  assert.equal(realModel(models, SIZES, "")?.name, "long");
  assert.equal(realModel(models, SIZES, "short")?.name, "short");
  assert.equal(realModel(models, { ...SIZES, n: 7 }, "")?.name, "short");
  assert.equal(realModel(models, { ...SIZES, latent: LATENT }, "short"), null);
});
