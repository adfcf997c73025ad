// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { inWords, problem, side, sizesOf, stateOf, value } from "../../src/layer_map/state.js";

/** @typedef {import("../../src/layer_map/traits.js").Traits} Traits */
/** @typedef {import("../../src/layer_map/traits.js").Part} Part */

const BLANK = { shared: "", lesson: "", weights: "", biases: "", flops: "", sentence: "", formula: "" };
/** @type {Part[]} */
const PARTS = [
  {
    ...BLANK,
    name: "query",
    label: "query",
    shape: "B, N, H·K",
    formula: "q = x · W^Q",
    sentence: "{H·K} numbers.",
    weights: "D·H·K",
    biases: "H·K",
    flops: "2·B·N·D·H·K",
    modes: ["self", "causal", "cross", "cache"],
  },
  { ...BLANK, name: "mask", label: "mask", shape: "N, S", modes: ["causal"] },
  { ...BLANK, name: "layer", label: "the layer", shape: "B, N, D", modes: ["self", "causal", "cross", "cache"] },
];

/** @param {Partial<Traits>} changes @returns {Traits} */
const traits = (changes = {}) => ({
  mode: "self",
  batch: 1,
  tokens: 512,
  num_keys: 20,
  d_model: 512,
  num_heads: 8,
  num_kv_heads: null,
  d_head: null,
  bias: true,
  bytes_per_number: 2,
  lit: [],
  pointed: "",
  pinned: "",
  _modes: {},
  _parts: PARTS,
  _colours: [],
  ...changes,
});

test("a formula of letters is what is computed, exactly", () => {
  const sizes = sizesOf(traits({ batch: 1024, tokens: 131071, d_model: 32767, num_heads: 511, d_head: 1023 }));
  const expected = 2n * 1024n * 131071n * 32767n * 511n * 1023n;
  assert.equal(String(value("2·B·N·D·H·K", sizes)), String(expected));
  assert.equal(String(value("D·H·K + H·K", sizesOf(traits()))), "262656");
  assert.equal(String(value("", sizesOf(traits()))), "0");
});

test("keys are as many as tokens, but for a context and a cache", () => {
  assert.deepEqual(
    ["self", "causal", "cross", "cache"].map((mode) => sizesOf(traits({ mode: /** @type {any} */ (mode) })).S),
    [512, 512, 20, 20],
  );
});

test("pairs that a mask hides are not counted", () => {
  assert.equal(sizesOf(traits({ mode: "causal", tokens: 4 })).P, 10);
  assert.equal(sizesOf(traits({ mode: "cache", tokens: 1 })).P, 20);
  assert.equal(sizesOf(traits({ mode: "cache", tokens: 3 })).P, 57);
});

test("a part that is not there is neither lit nor shown", () => {
  const state = stateOf(traits({ lit: ["mask", "query"], pinned: "mask", pointed: "mask" }));
  assert.deepEqual([state.lit, state.pinned, state.shown.name], [["query"], "", "query"]);
});

test("what a pointer is at comes before what is pinned, and that before what is lit", () => {
  const shown = (/** @type {Partial<Traits>} */ changes) => stateOf(traits({ mode: "causal", ...changes })).shown.name;
  assert.equal(shown({}), "layer");
  assert.equal(shown({ lit: ["query"] }), "query");
  assert.equal(shown({ lit: ["query"], pinned: "mask" }), "mask");
  assert.equal(shown({ lit: ["query"], pinned: "mask", pointed: "query" }), "query");
});

test("the layer is the sum of its parts, drawn twice too", () => {
  for (const _ of [1, 2]) assert.equal(String(stateOf(traits()).whole.parameters), "262656");
  const { flow } = stateOf(traits({ bias: false }));
  assert.deepEqual(
    [String(flow[0].parameters), flow[0].formula, flow[0].sentence],
    ["262144", "q = x · W^Q", "512 numbers."],
  );
});

test("what cannot be is said with the numbers and the rule", () => {
  assert.equal(problem(traits()), "");
  assert.match(problem(traits({ num_heads: 7 })), /^d_model=512 cannot be split over num_heads=7: 512 \/ 7 leaves 1; /);
  assert.equal(problem(traits({ num_heads: 7, d_head: 64 })), "");
  assert.match(problem(traits({ num_kv_heads: 3 })), /^num_heads=8 cannot share num_kv_heads=3: 8 \/ 3 leaves 2; /);
  assert.match(problem(traits({ mode: "cache", tokens: 21 })), /^tokens=21 are the last of num_keys=20, /);
  for (const odd of [0, -1, 1.5, Number.NaN, Infinity]) assert.notEqual(problem(traits({ batch: odd })), "");
});

test("counts are exact below a million, and in three digits with a word from there on", () => {
  assert.deepEqual([0n, 656640n, 999999n, 1000000n, 940048384n, 10n ** 12n].map(inWords), [
    "0",
    "656,640",
    "999,999",
    "1 million",
    "940 million",
    "1 trillion",
  ]);
  assert.equal(inWords(999999999n), "1 billion");
  assert.deepEqual([4096, 10500, 131072].map(side), ["4096", "11k", "131k"]);
});
