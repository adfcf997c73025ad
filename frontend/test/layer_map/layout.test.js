// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { arrowsOf } from "../../src/layer_map/arrows.js";
import { layoutOf, NARROWEST } from "../../src/layer_map/layout.js";
import { sizesOf } from "../../src/layer_map/state.js";

/** @typedef {import("../../src/layer_map/state.js").State} State */

const SIZES = {
  batch: 1,
  tokens: 512,
  num_keys: 512,
  d_model: 512,
  num_heads: 8,
  num_kv_heads: /** @type {number | null} */ (null),
  d_head: /** @type {number | null} */ (null),
};
const MODES = /** @type {const} */ (["self", "causal", "cross", "cache"]);

function laidOut(width = 1000, mode = MODES[0], changes = {}) {
  const sizes = sizesOf({ ...SIZES, mode, ...changes });
  return layoutOf(/** @type {State} */ (/** @type {unknown} */ ({ mode, sizes })), width);
}

const every = [350, 600, NARROWEST, 844, 1100, 1400].flatMap((width) => MODES.map((mode) => ({ width, mode })));
const extremes = [
  { tokens: 1, num_keys: 1, d_model: 1, num_heads: 1 },
  { tokens: 131072, num_keys: 131072, d_model: 32768, num_heads: 512, d_head: 1024, batch: 1024 },
  { num_heads: 512, num_kv_heads: 1 },
];

test("everything stands within the drawing, whatever the sizes", () => {
  for (const { width, mode } of every) {
    for (const changes of extremes) {
      const { parts, height } = laidOut(width, /** @type {any} */ (mode), changes);
      for (const [name, { hit, blocks }] of Object.entries(parts)) {
        for (const { x, y, w, h } of [hit, ...blocks.map(({ box }) => box)]) {
          assert.ok(
            x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width + 1 && y + h <= height,
            `${width} ${mode} ${name}`,
          );
        }
      }
    }
  }
});

test("no two parts claim the same place, but for the heads, which hold others", () => {
  for (const { width, mode } of every) {
    const { split, ...parts } = laidOut(width, /** @type {any} */ (mode)).parts;
    const hits = Object.entries(parts);
    for (const [i, [name, { hit: a }]] of hits.entries()) {
      for (const [other, { hit: b }] of hits.slice(i + 1)) {
        const apart =
          a.x + a.w <= b.x + 0.01 || b.x + b.w <= a.x + 0.01 || a.y + a.h <= b.y + 0.01 || b.y + b.h <= a.y + 0.01;
        assert.ok(apart, `${width} ${mode}: ${name} and ${other}`);
      }
    }
    assert.ok(split.hit.w > 0);
  }
});

test("a part is large enough for a finger", () => {
  for (const { width, mode } of every) {
    for (const { hit } of Object.values(laidOut(width, /** @type {any} */ (mode)).parts))
      assert.ok(hit.w >= 24 && hit.h >= 24);
  }
});

test("shared keys are as many heads of a query wide as there are", () => {
  const { parts } = laidOut(1000, "self", { num_kv_heads: 2 });
  const [query, key] = [parts.query.blocks[0], parts.key.blocks[0]];
  assert.equal(key.box.w, query.box.w / 4);
  assert.deepEqual([query.stripes, key.stripes], [8, 2]);
});

test("the drawing stands below 350 pixels in height where there is room, and in one column where there is none", () => {
  assert.deepEqual(
    [350, NARROWEST - 1, NARROWEST, 1200].map((width) => laidOut(width).stacked),
    [true, true, false, false],
  );
  assert.ok(laidOut(844).height < 350);
});

test("every arrow goes to the right or downwards, along straight lines", () => {
  for (const { width, mode } of every) {
    for (const corners of arrowsOf(laidOut(width, /** @type {any} */ (mode)), mode)) {
      const [[x0, y0], [x, y]] = corners.slice(-2);
      assert.ok(x > x0 || y > y0, `${width} ${mode}: an arrow back from ${x0}, ${y0} to ${x}, ${y}`);
      for (const [i, [a, b]] of corners.slice(1).entries()) assert.ok(a === corners[i][0] || b === corners[i][1]);
    }
  }
});
