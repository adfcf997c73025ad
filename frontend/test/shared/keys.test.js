// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { stepped, steppedInGrid } from "../../src/shared/keys.js";

const key = (/** @type {string} */ name) => /** @type {KeyboardEvent} */ ({ key: name });

test("arrow keys lead to the neighbour and stop at the ends", () => {
  assert.equal(stepped(key("ArrowRight"), 0, 3), 1);
  assert.equal(stepped(key("ArrowUp"), 0, 3), null);
  assert.equal(stepped(key("ArrowDown"), 2, 3), null);
  assert.equal(stepped(key("a"), 1, 3), null);
});

test("in a grid they lead four ways, Home and End to the ends of the row", () => {
  assert.deepEqual(steppedInGrid(key("ArrowDown"), [0, 1], [2, 3]), [1, 1]);
  assert.deepEqual(steppedInGrid(key("ArrowDown"), [1, 1], [2, 3]), [1, 1]);
  assert.deepEqual(steppedInGrid(key("End"), [1, 1], [2, 3]), [1, 2]);
  assert.equal(steppedInGrid(key("Enter"), [1, 1], [2, 3]), null);
});
