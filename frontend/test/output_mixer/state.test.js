// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { explain, short, status } from "../../src/output_mixer/speech.js";
import { derived, mix, nextOff, toggled } from "../../src/output_mixer/state.js";
import { busiest } from "../../src/shared/busiest.js";

// Two heads of width 1, two tokens, three features.
const heads = Float32Array.from([1, 2, 3, -4]);
const wO = Float32Array.from([1, 0, 2, 0, 1, 1]);
const data = { heads, wO, n: 2, H: 2, D: 3 };

test("a head adds its numbers times its own rows of W^O", () => {
  const { brings, shares } = mix({ ...data, row: 1, active: [] });
  assert.deepEqual(brings, [[2], [-4]]);
  assert.deepEqual(shares, [
    [2, 0, 4],
    [0, -4, -4],
  ]);
});

test("the sum adds the heads that are on, and what is missing is a share of the whole", () => {
  const { sum, full, missing } = mix({ ...data, row: 1, active: [0] });
  assert.deepEqual(
    [sum, full],
    [
      [2, 0, 4],
      [2, -4, 0],
    ],
  );
  assert.equal(missing, Math.hypot(0, 4, 4) / Math.hypot(2, 4));
});

test("nothing is missing from an output of nothing", () => {
  assert.equal(mix({ ...data, heads: new Float32Array(4), row: 0, active: [] }).missing, 0);
});

test("the busiest feature counts sizes, not signs", () => {
  assert.equal(
    busiest([
      [1, 3],
      [1, -3],
    ]),
    1,
  );
});

test("a feature that does not exist is none", () => {
  const given = { words: ["a", "b"], features: ["x", "y", "z"], H: 2, D: 3, heads, wO };
  assert.equal(derived(given, { position: 1, active: [0], hovered: 7 }).feature, 2);
  assert.equal(derived(given, { position: 1, active: [0], hovered: 1 }).name, "y");
});

test("heads are switched in order, and the first that is off is next", () => {
  assert.deepEqual(toggled([0, 2], 1), [0, 1, 2]);
  assert.deepEqual(toggled([0, 2], 2), [0]);
  assert.equal(nextOff([0, 2], 3), 1);
  assert.equal(nextOff([0, 1, 2], 3), undefined);
});

test("a negative term after a plus stands in brackets", () => {
  const told = { feature: 0, name: "room", word: "it", shares: [[2], [-9]], sum: [-7], active: [0, 1] };
  assert.equal(explain(told), "room at it: 2 from head 0 + (−9) from head 1 = −7");
  assert.equal(explain({ ...told, active: [] }), "room at it: no head is on, and a sum of nothing is 0");
  assert.equal(explain({ ...told, shares: [[0], [-9]], active: [0] }), "room at it: this head adds nothing here");
});

test("numbers are short, with a true minus, and what rounds to nothing is 0", () => {
  assert.deepEqual([short(-0.004), short(-1.5), short(2.126)], ["0", "−1.5", "2.13"]);
  assert.equal(status({ active: [0], H: 2, missing: 0.505 }), "1 of 2 on: 51% of the output is missing");
});
