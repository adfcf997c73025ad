// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { put, taken } from "../../src/shared/shelf.js";

/** A browser's memory; one that refuses throws. */
function browser(refuses = false) {
  /** @type {Map<string, string>} */
  const kept = new Map();
  const guarded =
    (/** @type {Function} */ act) =>
    (/** @type {any[]} */ ...given) => {
      if (refuses) throw new Error("SecurityError");
      return act(...given);
    };
  const storage = {
    getItem: guarded((/** @type {string} */ name) => kept.get(name) ?? null),
    setItem: guarded((/** @type {string} */ name, /** @type {string} */ text) => kept.set(name, text)),
    removeItem: guarded((/** @type {string} */ name) => kept.delete(name)),
  };
  Object.defineProperty(globalThis, "localStorage", { value: storage, configurable: true }); // a page's own has no setter
  return kept;
}

test("what is put is taken again, until it is put away", () => {
  const kept = browser();
  put("answers", "", "typed");
  assert.equal(taken("answers", ""), "typed");
  assert.deepEqual([...kept], [["answers", "typed"]]);
  put("answers", "", null);
  assert.equal(taken("answers", ""), null);
});

test("what was kept before Python forgot is not brought back", () => {
  const kept = browser();
  put("answers", "", "old");
  assert.equal(taken("answers", "2026-11-30"), null);
  put("answers", "2026-11-30", "new");
  assert.equal(taken("answers", "2026-11-30"), "new");
  assert.equal(taken("answers", ""), null);
  put("answers", "2026-11-30", null);
  assert.equal(kept.size, 0);
});

test("a browser that keeps nothing is no error", () => {
  browser(true);
  put("answers", "", "typed");
  assert.equal(taken("answers", ""), null);
});
