// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { change, headline, short, switchInWords } from "../../src/head_switches/speech.js";
import { axis, compared, keyOf, mostMoved, moved, movedAlone, switched } from "../../src/head_switches/state.js";

/** @typedef {import("../../src/head_switches/traits.js").Row} Row */

/** @type {Row[]} */
const before = [
  ["", "the", 2],
  ["", "a", 1],
];
/** @type {Row[]} */
const now = [
  ["", "a", 1.5],
  ["", "an", 3],
];
const fixed = {
  L: 2,
  H: 2,
  heads: /** @type {[number, number][]} */ ([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]),
  labels: new Map([["0.0", "looks one back"]]),
  known: new Map([
    ["", before],
    ["0.0", now],
  ]),
  before,
  alone: true,
};

test("heads are switched in order, and one text tells which are off", () => {
  assert.deepEqual(switched([[1, 0]], [0, 1]), [
    [0, 1],
    [1, 0],
  ]);
  assert.deepEqual(switched([[1, 0]], [1, 0]), []);
  assert.equal(
    keyOf([
      [0, 1],
      [1, 0],
    ]),
    "0.1 1.0",
  );
});

test("a prediction that came or went moved by its whole size", () => {
  const pairs = compared(now, before);
  assert.deepEqual(
    pairs.map(({ name }) => name),
    ["the", "a", "an"],
  );
  assert.deepEqual(pairs.map(moved), [-2, 0.5, 3]);
  assert.equal(mostMoved(pairs)?.name, "an");
  assert.equal(mostMoved(compared(before, before)), null);
  assert.equal(movedAlone(fixed, [0, 0]), 3);
  assert.equal(movedAlone({ ...fixed, alone: false }, [0, 0]), null);
});

test("the axis is that of probabilities where it can be", () => {
  assert.deepEqual(axis([0.2, 0.9]), [0, 1]);
  assert.deepEqual(axis([-1, -3]), [-3, 0]);
  assert.deepEqual(axis([2]), [0, 2]);
});

test("numbers are as they are shown, and so are their differences", () => {
  assert.deepEqual([short(-0.001), short(undefined), short(-1.5)], ["0.00", "–", "−1.50"]);
  assert.equal(change(moved({ now: 0.496, before: 1 })), "−0.50");
});

test("the headline says which heads are off and what moved most", () => {
  assert.equal(headline(fixed, [], null), "All 4 heads on.");
  assert.equal(
    headline(fixed, [[0, 0]], compared(now, before)),
    "Off: head 0.0 (looks one back). Most moved: an, – → 3.00.",
  );
  assert.equal(headline(fixed, [[0, 1]], compared(before, before)), "Off: head 0.1. No prediction moves.");
  assert.equal(headline(fixed, [[0, 1]], null), "Off: head 0.1.");
  assert.deepEqual(switchInWords(fixed, [0, 0], 3), [
    "layer 0, head 0",
    "looks one back",
    "alone off, it moves a prediction by 3.00",
  ]);
});
