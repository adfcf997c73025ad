// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { entries, keysSeen, numbersKept, productFlops } from "../../src/shared/layer_kinds.js";

const STORE = { kind: "global", layers: 1, heads: 4, key: 8, value: 8, fixed: 0, window: 0, every: 1 };
const NEAR = { ...STORE, kind: "local", window: 128 };
/** @param {Partial<import("../../src/shared/layer_kinds.js").Kind>} more */
const kind = (more) => ({
  letter: "G",
  layers: 1,
  stores: [STORE],
  width: 128,
  picked: 0,
  shared: false,
  words: "",
  ...more,
});

test("a window keeps its last tokens, and compressed ones share an entry", () => {
  assert.deepEqual(
    [5, 128, 5000].map((tokens) => entries(NEAR, tokens)),
    [5, 128, 128],
  );
  assert.equal(entries({ window: 0, every: 4 }, 1023), 255);
});

test("keys are those of all stores, of which an indexer picks among the last", () => {
  const squeezed = kind({ stores: [NEAR, { ...STORE, every: 4 }], picked: 512 });
  assert.deepEqual([keysSeen(squeezed, 1024), keysSeen(squeezed, 8192)], [128 + 256, 128 + 512]);
  assert.equal(keysSeen(kind({ width: 0 }), 1024), 0);
});

test("products grow with the keys, and shared layers keep nothing", () => {
  assert.equal(productFlops(kind({}), 100), 2 * 100 * 100 * 128);
  assert.equal(productFlops(kind({ stores: [NEAR] }), 1000), 2 * 1000 * 128 * 128);
  assert.deepEqual([numbersKept(kind({}), 10), numbersKept(kind({ shared: true }), 10)], [640, 0]);
});
