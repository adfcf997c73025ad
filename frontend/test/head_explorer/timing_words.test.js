// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { sentence } from "../../src/head_explorer/timing_words.js";

/** @type {any} */
const result = {
  tokens: 512,
  rows: ["explicit", "fused"].map((path) => ({ heads: 12, path, predicted: 0.01, median: 0.02, q1: 0.02, q3: 0.03 })),
};

test("times of heads that shared no keys say so beside maps of heads that do", () => {
  assert.match(sentence(result, 12), /^12 heads, 512 tokens: explicit 20\.0 ms \(20\.0–30\.0; predicted 10\.0\), /);
  assert.match(sentence(result, 12, false, "own keys, no mask"), /^12 heads \(own keys, no mask\), 512 tokens: /);
});
