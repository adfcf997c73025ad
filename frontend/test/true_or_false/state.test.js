// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { counted, readAnswers, sameAnswers } from "../../src/true_or_false/state.js";

const KEYS = ["scale", "own-slice"];

test("stored answers are read only where they are answers to these statements", () => {
  const stored = JSON.stringify({ scale: true, "own-slice": "yes", other: false });
  assert.deepEqual(readAnswers(stored, KEYS), { scale: true });
  assert.deepEqual(readAnswers("{}", KEYS), {});
});

test("what cannot be read is nothing", () => {
  for (const text of [null, "", "null", "{", "0"]) assert.equal(readAnswers(text, KEYS), null);
});

test("answers are the same where each statement has the same one, or none", () => {
  assert.ok(sameAnswers({ scale: true }, { scale: true, gone: false }, KEYS));
  assert.ok(!sameAnswers({ scale: true }, { scale: false }, KEYS));
  assert.ok(!sameAnswers({ scale: false }, {}, KEYS));
});

test("false is an answer too", () => {
  assert.equal(counted({ scale: false, gone: true }, KEYS), 1);
});
