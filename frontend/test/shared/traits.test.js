// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { decoded, watch } from "../../src/shared/traits.js";

test("a binary trait is read wherever its bytes begin", () => {
  const bytes = new Uint8Array(new Float32Array([0, 1, 2]).buffer);
  const shifted = new Uint8Array(13);
  shifted.set(bytes, 1);
  assert.deepEqual(decoded(new DataView(bytes.buffer, 4), Float32Array), new Float32Array([1, 2]));
  assert.deepEqual(decoded(new DataView(shifted.buffer, 1), Float32Array), new Float32Array([0, 1, 2]));
  assert.equal(decoded(new DataView(new ArrayBuffer(0)), Uint8Array), null);
  assert.equal(decoded(null, Uint8Array), null);
});

test("watching ends where it is ended", () => {
  /** @type {string[]} */
  const listening = [];
  const model = /** @type {any} */ ({
    on: (/** @type {string} */ event) => listening.push(event),
    off: (/** @type {string} */ event) => listening.splice(listening.indexOf(event), 1),
  });
  const end = watch(model, ["a", "b"], () => {});
  assert.deepEqual(listening, ["change:a", "change:b"]);
  end();
  assert.deepEqual(listening, []);
});
