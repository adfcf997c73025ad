// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { readout, told, tongue } from "../../src/intent_explorer/speech.js";
import { answers, derived, largest, looks, walked } from "../../src/intent_explorer/state.js";

const bytes = (/** @type {number[]} */ numbers) => new DataView(Uint8Array.from(numbers).buffer);
const floats = (/** @type {number[]} */ numbers) => new DataView(Float32Array.from(numbers).buffer);
const reading = {
  sentence: "no fee",
  tokens: ["no", "fee"],
  note: "",
  probabilities: [0.1, 0.6, 0.2, 0.1],
  shares: floats([0.25, 0.75]),
  weights: bytes([255, 0, 0, 255, 0, 255, 255, 0]), // two heads: one looks at itself, one at the other word
};
const traits = {
  names: ["a", "b", "c", "d"],
  sentence: "no fee",
  layer: 0,
  word: -1,
  hovered: /** @type {number[]} */ ([]),
  stretch: false,
  typed: "",
  message: "",
  can_read: false,
  num_layers: 1,
  num_heads: 2,
  _readings: [reading],
  _typed: [],
  _colours: /** @type {[number, string][]} */ ([]),
};

test("from the answer a head looks by its words' shares, from a word by that word's row", () => {
  assert.deepEqual(derived(traits).rows, [
    [0.25, 0.75],
    [0.75, 0.25],
  ]);
  assert.deepEqual(derived({ ...traits, word: 0 }).rows, [
    [1, 0],
    [0, 1],
  ]);
  assert.deepEqual(looks({ weights: Float32Array.from([1, 0, 0, 1]), shares: [0.5, 0.5], n: 2, H: 1, word: 1 }), [
    [0, 1],
  ]);
});

test("what is pointed at is read only where it is on show", () => {
  assert.deepEqual(derived({ ...traits, hovered: [1, 0] }).pointed, { head: 1, word: 0 });
  for (const hovered of [[2, 0], [0, 2], []]) assert.equal(derived({ ...traits, hovered }).pointed, null);
});

test("a sentence that is not there shows the first one", () => {
  assert.equal(derived({ ...traits, sentence: "gone" }).reading, reading);
});

test("the likeliest answers come first, and the others share the rest", () => {
  const { best, others, rest } = answers(reading.probabilities, traits.names);
  assert.deepEqual(
    best.map(({ name }) => name),
    ["b", "c", "a"],
  );
  assert.equal(others, 1);
  assert.ok(Math.abs(rest - 0.1) < 1e-9);
  assert.deepEqual(largest([1, 3, 2], 2), [1, 2]);
});

test("keys walk from weight to weight and stop at the ends", () => {
  const at = (/** @type {number} */ head, /** @type {number} */ word) => ({ n: 3, H: 2, pointed: { head, word } });
  assert.deepEqual(walked("ArrowRight", { n: 3, H: 2, pointed: null }), [0, 0]);
  assert.deepEqual(walked("ArrowDown", at(1, 1)), [1, 1]);
  assert.deepEqual(walked("End", at(0, 0)), [0, 2]);
  assert.equal(walked("a", at(0, 0)), null);
});

test("the read-out names head, start, word and weight", () => {
  const now = derived({ ...traits, hovered: [1, 0] });
  assert.equal(readout(now, false), "head 1, from the answer to “no”: 0.75");
  assert.match(readout(derived({ ...traits, word: 1 }), false), /^Where the heads look from “fee”, from which 0.75/);
  assert.equal(told([0.2, 0.7, 0.1], ["a", "b", "c"]), "b 0.70, a 0.20, c 0.10");
  assert.deepEqual(["不要", "no"].map(tongue), ["zh", "en"]);
});
