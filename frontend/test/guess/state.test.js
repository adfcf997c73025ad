// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { status } from "../../src/guess/speech.js";
import { MOST_LETTERS, stateOf, tidied } from "../../src/guess/state.js";

test("a typed answer is kept on one line, without what stands around it", () => {
  assert.equal(tidied("  twice \n as much\t"), "twice as much");
  assert.equal(tidied(" \n "), "");
});

test("a long answer is cut between letters, never within one", () => {
  assert.equal(tidied("x".repeat(500)).length, MOST_LETTERS);
  assert.equal([...tidied("😀".repeat(500))].length, MOST_LETTERS);
  assert.ok(tidied("😀".repeat(500)).endsWith("😀"));
});

test("an answer stays once the right one was seen; where nobody answered, it is still open", () => {
  assert.equal(stateOf("", false), "open");
  assert.equal(stateOf("", true), "open");
  assert.equal(stateOf("twice", false), "said");
  assert.equal(stateOf("twice", true), "seen");
});

test("what is said tells whether the answer can be changed, and what keeps it", () => {
  assert.equal(status("", false, true, true), "Guess before you go on: type it and press Enter.");
  assert.equal(status("", false, false, false), "Guess before you go on.");
  assert.match(status("twice", false, false, true), /^You said: twice\. You can change it until/);
  for (const kernel of [true, false]) assert.match(status("twice", true, false, kernel), /so this stays\.$/);
  assert.match(status("twice", false, true, false), /^You said: twice\. It is kept while this page is open\.$/);
});
