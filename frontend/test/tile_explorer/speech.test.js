// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { rounded, short } from "../../src/tile_explorer/speech.js";

test("a number of any size takes the room of eight letters at most", () => {
  const said = [0, -0.001, 1.005, -9999.4, 9999.5, -12345, 3e38, -2.86e36, 1e76, Number.NEGATIVE_INFINITY].map(short);
  const words = ["0.00", "0.00", "1.00", "−9999.40", "1.0e4", "−1.2e4", "3.0e38", "−2.9e36", "1.0e76", "−∞"];
  assert.deepEqual(said, words);
  assert.equal(rounded(1e9, 1), "1.0e9");
});
