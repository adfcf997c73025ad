// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { axisOf, cluster, nearest, plotOf, RADIUS, stripOf } from "../../src/model_table/layout.js";

/** @param {string} name @param {number | null} d_model @param {number} num_heads @param {number} [year] */
const at = (name, d_model, num_heads, year = 2024) => /** @type {any} */ ({ name, d_model, num_heads, year });
const ROWS = [at("a", 512, 8), at("b", 512, 8), at("c", 4096, 64), at("d", 8192, 128, 2026), at("e", null, 4)];
/** @param {Partial<{ across: any, up: any, all: any }>} more */
const plot = (more = {}, width = 500) => plotOf({ all: ROWS, across: "d_model", up: "num_heads", ...more }, width, 180);

test("every dot stands in the frame, and a model without one of the numbers has none", () => {
  for (const width of [260, 500, 900]) {
    const { dots, frame, missing } = plot({}, width);
    assert.deepEqual([dots.map(({ name }) => name), missing], [["a", "b", "c", "d"], 1]);
    for (const { x, y } of dots) {
      assert.ok(x > frame.x && x < frame.x + frame.width && y > frame.y && y < frame.y + frame.height);
    }
  }
});

test("larger numbers stand further right and higher up, equal ratios equally far apart", () => {
  const [a, , c, d] = plot().dots;
  assert.ok(a.x < c.x && c.x < d.x && a.y > c.y && c.y > d.y);
  assert.ok(Math.abs((c.x - a.x) / (d.x - c.x) - 3) < 1e-6); // 512 → 4,096 is three times as far as 4,096 → 8,192
});

test("models with the same two numbers stand beside each other, none on another", () => {
  for (const count of [2, 7, 8, 20, 45]) {
    const places = cluster(count);
    assert.equal(places.length, count);
    assert.deepEqual(places[0], [0, 0]);
    places.forEach(([x, y], i) => {
      for (const [u, v] of places.slice(i + 1)) assert.ok(Math.hypot(x - u, y - v) > 2 * RADIUS);
    });
  }
});

test("axes have years one by one, and powers of two for all else", () => {
  assert.deepEqual(axisOf("year", [2024, 2026]).ticks, [2024, 2025, 2026]);
  assert.deepEqual(axisOf("num_heads", [4, 128]).ticks, [4, 8, 16, 32, 64, 128]);
  assert.deepEqual(axisOf("ratio", [0.62, 9.14]).ticks, [1, 2, 4, 8]);
  assert.equal(axisOf("ratio", [0.5]).words(0.5), "0.5");
  for (const column of /** @type {const} */ (["year", "d_model"])) {
    const { low, high } = axisOf(column, [7]); // a single model has an axis too
    assert.ok(low < 7 && 7 < high);
  }
  assert.ok(plot({ all: [] }).dots.length === 0);
});

test("numbers on an axis do not touch", () => {
  const { ticksAcross } = plot({}, 220);
  assert.ok(ticksAcross.length < 5);
  ticksAcross.slice(1).forEach(({ at: x }, i) => assert.ok(x - ticksAcross[i].at > 30));
});

test("the nearest dot within reach is meant", () => {
  const { dots } = plot();
  const [a, b] = dots;
  assert.equal(nearest(dots, a.x - 1, a.y, 10), "a");
  assert.equal(nearest(dots, b.x + 1, b.y, 10), "b");
  assert.equal(nearest(dots, a.x - 30, a.y, 14), null);
});

test("a strip has a path for every kind of layer and fits its width, however many layers there are", () => {
  const paths = stripOf("LLGLLG", 2, 96, 14);
  assert.deepEqual(
    paths.map(({ letter, shared }) => [letter, shared]),
    [
      ["L", false],
      ["G", false],
      ["L", true],
      ["G", true],
    ],
  );
  for (const layers of [1, 12, 78, 1000]) {
    for (const { d } of stripOf("G".repeat(layers), 0, 96, 14)) {
      const bars = [...d.matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)/g)].map((bar) => bar.slice(1).map(Number));
      assert.equal(bars.length, layers);
      for (const [x, y, wide, high] of bars) assert.ok(x + wide <= 97 && y + high === 14);
    }
  }
  const heights = [..."GKHLV"].map((letter) => Number(/v([\d.]+)/.exec(stripOf(letter, 0, 96, 14)[0].d)?.[1]));
  assert.deepEqual(
    [...heights].sort((a, b) => b - a),
    heights,
  ); // the further it looks, the higher
});
