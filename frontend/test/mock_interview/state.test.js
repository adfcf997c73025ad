// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { heading, mark, score, show, status } from "../../src/mock_interview/speech.js";
import {
  answered,
  joined,
  MOST_LETTERS,
  missed,
  readKept,
  same,
  scores,
  ticksOf,
  tidied,
  withTick,
} from "../../src/mock_interview/state.js";

/** @param {string} key @param {string} dimension @param {string[]} places */
const question = (key, dimension, places) => ({
  key,
  dimension,
  asks: `${key}?`,
  points: places.map((place) => ({ text: `${key} in ${place}`, place, link: `${place}.ipynb` })),
});
const QUESTIONS = [
  question("scale", "mathematics", ["01", "01", "02"]),
  question("mask", "engineering", ["01"]),
  question("layer", "mathematics", ["04", "02"]),
];

test("a dimension's score counts the points that were shown, and no question that is still open", () => {
  assert.deepEqual(scores(QUESTIONS, { scale: [0, 2] }), [
    { dimension: "mathematics", said: 2, of: 3, asked: 1, questions: 2 },
    { dimension: "engineering", said: 0, of: 0, asked: 0, questions: 1 },
  ]);
  assert.equal(answered(QUESTIONS, { scale: [], other: [0] }), 1);
});

test("what to read again are the sections of points that were shown and not said, the most missed first", () => {
  const rows = missed(QUESTIONS, { scale: [], layer: [0] });
  assert.deepEqual(
    rows.map(({ place, points }) => [place, points]),
    [
      ["01", 2],
      ["02", 2],
    ],
  );
  assert.deepEqual(missed(QUESTIONS, {}), []);
  assert.deepEqual(missed(QUESTIONS, { mask: [0] }), []);
});

test("points stay hidden until they were asked for; a tick can be taken back", () => {
  assert.equal(ticksOf(QUESTIONS[0], {}), null);
  assert.deepEqual(ticksOf(QUESTIONS[0], { scale: [] }), []);
  assert.deepEqual(ticksOf(QUESTIONS[1], { mask: [0, 7] }), [0]);
  const on = withTick({ scale: [2] }, "scale", 0, true);
  assert.deepEqual(on, { scale: [0, 2] });
  assert.deepEqual(withTick(on, "scale", 2, false), { scale: [0] });
});

test("what was typed while no kernel listened is taken over, and nothing typed is lost", () => {
  const stored = { said: { mask: "typed", scale: "old" }, ticked: { mask: [0, 9, "x"], layer: [1] } };
  const browser = readKept(JSON.stringify(stored), QUESTIONS);
  assert.deepEqual(browser, { said: { mask: "typed", scale: "old" }, ticked: { mask: [0], layer: [1] } });
  const python = { said: { scale: "older", mask: "ty" }, ticked: { layer: [] } };
  assert.deepEqual(joined(python, browser), {
    said: { mask: "typed", scale: "older" },
    ticked: { mask: [0], layer: [] },
  });
  assert.ok(same(joined(python, null), python));
  assert.ok(!same(joined(python, browser), python));
});

test("a kept text that makes no sense is left aside", () => {
  for (const text of [null, "", "null", "{", "0", "[]", "{}"]) assert.equal(readKept(text, QUESTIONS), null);
  assert.deepEqual(readKept(JSON.stringify({ said: { weather: "x", mask: 3 }, ticked: { mask: "0" } }), QUESTIONS), {
    said: {},
    ticked: {},
  });
});

test("a long answer is cut between letters, and its lines stay", () => {
  assert.equal(tidied("one\n two "), "one\n two ");
  assert.equal([...tidied("😀".repeat(MOST_LETTERS + 5))].length, MOST_LETTERS);
});

test("what is said names the question, what the button does, and the sums", () => {
  assert.equal(heading(1, QUESTIONS), "Question 2 of 3 · engineering");
  assert.equal(show(" \n"), "I have said it aloud: show the points");
  assert.equal(show("because"), "Show the points");
  assert.equal(mark(0, QUESTIONS[0], null), "Question 1, mathematics, not answered yet");
  assert.equal(mark(0, QUESTIONS[0], [1]), "Question 1, mathematics, 1 of 3 points said");
  const rows = scores(QUESTIONS, { scale: [0, 2] });
  assert.equal(status(1, 3, rows), "1 of 3 questions answered, 2 of 3 points said");
  assert.equal(status(0, 3, scores(QUESTIONS, {})), "0 of 3 questions answered");
  assert.deepEqual(rows.map(score), ["2 of 3", "1 question open"]);
});
