// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { decade, roundTicks, scale, spaced, unscale } from "../../src/shared/chart_axes.js";
import { chartLayout } from "../../src/shared/chart_layout.js";
import { wrapped } from "../../src/shared/chart_words.js";

/** @param {Partial<import("../../src/shared/chart_layout.js").Chart>} more */
const chart = (more) =>
  chartLayout({
    width: 400,
    height: 300,
    across: { low: 1, high: 1000, log: true, ticks: [1, 10, 100, 1000], words: String, title: "heads" },
    up: { low: 1, high: 100, log: true, ticks: [1, 10, 100], words: String, title: "ms" },
    series: [],
    ...more,
  });

test("equal ratios are equally long on a logarithmic axis, and equal differences on a linear one", () => {
  const log = scale({ low: 1, high: 100, log: true, ticks: [], words: String }, 0, 200);
  assert.deepEqual([1, 10, 100].map(log), [0, 100, 200]);
  const linear = scale({ low: 0, high: 4, ticks: [], words: String }, 100, 0);
  assert.deepEqual([0, 1, 4].map(linear), [100, 75, 0]);
});

test("a place on the page leads back to the value", () => {
  for (const log of [true, false]) {
    const axis = { low: 2, high: 300, log, ticks: [], words: String };
    assert.ok(Math.abs(unscale(axis, 10, 90)(scale(axis, 10, 90)(17)) - 17) < 1e-9);
  }
});

test("an axis around a single value, or around none, has a length", () => {
  for (const values of [[1], [100], [1e-5], []]) {
    const [low, high] = decade(values);
    assert.ok(low > 0 && high / low > 9.99, `${low} … ${high}`);
    assert.ok(roundTicks(low, high).length >= 1);
  }
  assert.equal(scale({ low: 5, high: 5, log: true, ticks: [], words: String }, 3, 8)(5), 3);
});

test("round numbers stand on the axis, and only powers of ten where it is long", () => {
  assert.deepEqual(roundTicks(0.9, 21), [1, 2, 5, 10, 20]);
  assert.deepEqual(roundTicks(0.02, 2e4), [0.1, 1, 10, 100, 1000, 10000]);
});

test("ticks whose words would touch are left out evenly", () => {
  const at = (/** @type {number} */ tick) => 10 * tick;
  assert.deepEqual(
    spaced([0, 1, 2, 3, 4], at, () => 8),
    [0, 2, 4],
  );
  assert.deepEqual(
    spaced([0, 1, 2], at, () => 500),
    [0],
  );
});

test("names stand inside the frame, on no curve, and on no other name", () => {
  /** @type {[number, number][]} */
  const steep = [1, 10, 100, 1000].map((x) => [x, x ** (2 / 3)]);
  /** @type {[number, number][]} */
  const flat = [1, 10, 100, 1000].map((x) => [x, 10]);
  const { frame, names, across, up } = chart({
    series: [
      { name: "steep", hue: 1, curve: steep },
      { name: "flat and long", hue: 2, curve: flat },
    ],
  });
  const [a, b] = names.map(({ box }) => box);
  for (const box of [a, b]) {
    assert.ok(box.x >= frame.x && box.x + box.width <= frame.x + frame.width);
    assert.ok(box.y >= frame.y && box.y + box.height <= frame.y + frame.height);
    for (const [x, y] of [...steep, ...flat]) {
      const inside = box.x < across(x) && across(x) < box.x + box.width && box.y < up(y) && up(y) < box.y + box.height;
      assert.ok(!inside);
    }
  }
  assert.ok(a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y);
});

test("an upright line beyond the axis is left out, and its words keep inside the frame", () => {
  const { lines, frame } = chart({
    lines: [
      { kind: "here", at: 5000 },
      { kind: "meet", at: 990, words: "equal at 990" },
    ],
  });
  assert.deepEqual(
    lines.map(({ kind }) => kind),
    ["meet"],
  );
  assert.ok(lines[0].box.x + lines[0].box.width <= frame.x + frame.width);
});

test("words are set in rows, and a long word in a row of its own", () => {
  assert.deepEqual(wrapped("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrapped("a extraordinary b", 5), ["a", "extraordinary", "b"]);
});
