// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { clipped, isolated, quoted, shownWords, visible } from "../../src/shared/words.js";

test("what cannot be seen in a word is made visible", () => {
  assert.equal(visible(" a\t"), "␣a⇥");
  assert.equal(visible("a\nb"), "a↵b");
  assert.equal(visible(""), "∅");
  assert.equal(visible("\u200b"), "⟨200B⟩");
  assert.equal(visible("abc\u202edef"), "abc⟨202E⟩def");
  assert.equal(visible("\u0000"), "⟨0000⟩");
});

test("joiners within a word stay, alone they show", () => {
  assert.equal(visible("👩\u200d👧"), "👩\u200d👧");
  assert.equal(visible("क्\u200dष"), "क्\u200dष");
  assert.equal(visible("\u200d"), "⟨200D⟩");
  assert.equal(visible("a\u200c"), "a⟨200C⟩");
});

test("words that look alike are numbered, also where only unseen letters differ", () => {
  assert.deepEqual(shownWords(["the", "cat", "the"]), ["the₁", "cat", "the₂"]);
  assert.deepEqual(shownWords(["a", "a\u200b"]), ["a", "a⟨200B⟩"]);
});

test("a sentence carries a long word cut and a word from the right apart", () => {
  assert.equal(quoted("it"), "it");
  assert.equal(quoted("x".repeat(100_000)).length, 24);
  assert.equal(isolated("שלום"), "\u2068שלום\u2069");
});

test("a clipped text is as long as there is room for, with few measurements", () => {
  let measured = 0;
  const measure = (/** @type {string} */ text) => {
    measured++;
    return 10 * [...text].length;
  };
  assert.equal(clipped("abc", 30, measure), "abc");
  assert.equal(clipped("abcdef", 40, measure), "abc…");
  assert.equal(clipped("abcdef", 5, measure), "a…");
  measured = 0;
  assert.equal(clipped("y".repeat(100_000), 100, measure), `${"y".repeat(9)}…`);
  assert.ok(measured < 12, `${measured} measurements`);
});

test("a letter is not parted from its accents, nor cut in halves", () => {
  const measure = (/** @type {string} */ text) => 10 * text.length;
  assert.equal(clipped("e\u0301e\u0301e\u0301", 40, measure), "e\u0301…");
  assert.equal(clipped("😀😀😀", 45, measure), "😀…");
});
