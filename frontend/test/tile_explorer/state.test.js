// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { cellAt, chartOf, layoutOf } from "../../src/tile_explorer/layout.js";
import { numbersHeld, stepsOf, traced } from "../../src/tile_explorer/maths.js";
import {
  arithmetic,
  heldInWords,
  movedInWords,
  partsHeld,
  scoreInWords,
  short,
  stepInWords,
} from "../../src/tile_explorer/speech.js";
import { derived, samePlace, stepOf, tilesOf, writtenAt } from "../../src/tile_explorer/state.js";

// Scores are the logarithms of 2, 4, 1 and 8 for every query: lesson 10 adds them up by hand.
const exponentials = [2, 4, 1, 8];
const fixed = {
  words: ["a", "b", "c", "d"],
  quoted: ["a", "b", "c", "d"],
  N: 4,
  K: 1,
  V: 1,
  query: Float32Array.from([1, 1, 1, 1]),
  key: Float32Array.from(exponentials.map(Math.log)),
  value: Float32Array.from([10, 20, 30, 40]),
};
/** @type {import("../../src/tile_explorer/traits.js").Chosen} */
const CHOSEN = { query_rows: 4, key_columns: 2, causal: false, step: 1, cells: "scores", row: -1, pointed: [] };
const state = (changes = {}) => derived(fixed, { ...CHOSEN, ...changes });
const near = (/** @type {number} */ found, /** @type {number} */ wanted) =>
  assert.ok(Math.abs(found - wanted) < 1e-6, `${found} is not ${wanted}`);

test("two halves give what the lesson computes by hand", () => {
  const [first, second, end] = traced(fixed, CHOSEN);
  near(first.running[0].total, 2 / 4 + 4 / 4);
  near(first.running[0].summed[0], (2 / 4) * 10 + (4 / 4) * 20);
  near(second.running[0].shrink, 4 / 8);
  near(second.running[0].total, (2 + 4 + 1 + 8) / 8);
  near(Number(end.output?.[0][0]), 30);
});

test("each score is computed once, or skipped because it and all of its tile lie in the future", () => {
  for (const [query_rows, key_columns, causal] of /** @type {[number, number, boolean][]} */ ([
    [1, 1, true],
    [3, 2, true],
    [2, 5, false],
    [5, 3, true],
  ])) {
    const N = 7;
    const steps = stepsOf(N, { query_rows, key_columns, causal });
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < N; j++) {
        const times = steps.filter((s) => s.first <= i && i < s.end && s.start <= j && j < s.stop).length;
        if (!causal || j <= i) assert.equal(times, 1);
        else assert.ok(times <= 1);
      }
      assert.equal(steps.filter((s) => s.start === s.stop && s.first <= i && i < s.end).length, 1);
    }
  }
});

test("what fast memory holds does not depend on the length of the text", () => {
  assert.equal(numbersHeld(4, 4, { K: 4, V: 4 }), 4 * 4 * 3 + 16 + 8 + 16);
  assert.equal(state().memory.held, state({ step: 3 }).memory.held);
});

test("every tile is skipped, to come, present or forgotten", () => {
  const kinds = (/** @type {number} */ step) =>
    tilesOf(state({ query_rows: 2, causal: true, step })).map(({ kind }) => kind);
  assert.deepEqual(kinds(0), ["waiting", "skipped", "waiting", "waiting"]);
  assert.deepEqual(kinds(3), ["forgotten", "skipped", "present", "waiting"]);
  assert.deepEqual(kinds(5), ["forgotten", "skipped", "forgotten", "forgotten"]);
});

test("another size of the tiles keeps the place", () => {
  const now = state({ query_rows: 2, step: 5 }); // rows 2–3, columns 2–3
  assert.equal(now.present?.start, 2);
  const at = samePlace(now, { key_columns: 1 });
  const moved = state({ query_rows: 2, key_columns: 1, step: at });
  assert.deepEqual([moved.present?.first, moved.present?.start], [2, 2]);
  const writing = state({ query_rows: 2, step: 6 });
  const still = state({ query_rows: 4, step: samePlace(writing, { query_rows: 4 }) });
  assert.ok(still.present?.output);
  assert.equal(samePlace(state({ step: 0 }), { query_rows: 1 }), 0);
});

test("a step beyond the last is the last", () => {
  assert.deepEqual([state({ step: 99 }).step, state({ step: 99 }).last], [3, 3]);
});

test("the arithmetic of a query is told number by number", () => {
  const told = (/** @type {object} */ changes) => arithmetic(state(changes)).map((line) => line.join(" ").trim());
  assert.deepEqual(told({ step: 1 }), [
    "largest m = max(0.69, 1.39) = 1.39",
    "shrink none: nothing was summed before",
    "total l = 0.50 + 1.00 = 1.50",
    "summed o = Σ exp(s − m) · v = (25.00)",
  ]);
  assert.deepEqual(told({ step: 2 }), [
    "largest m = max(1.39, 0.00, 2.08) = 2.08",
    "shrink = exp(1.39 − 2.08) = 0.50",
    "total l = 1.50 · 0.50 + 0.12 + 1.00 = 1.87",
    "summed o = old o · 0.50 + Σ exp(s − m) · v = (56.25)",
  ]);
  assert.match(told({ step: 3 })[0], /^output of “d” = summed \/ total = \(56.25\) \/ 1.87 = \(30.00\)$/);
  assert.match(told({ step: 0 })[0], /No place is made for the 16 scores/);
  assert.equal(told({ query_rows: 2, step: 1, row: 3 })[0], "“d” waits: its query is read in step 4.");
  assert.equal(told({ query_rows: 2, step: 4, row: 0 })[0], "“a” is done: its output was written in step 3.");
  assert.match(told({ causal: true, step: 2, row: 0 })[0], /every key of this tile is in its future/);
});

test("a score that is pointed at is somewhere, or nowhere", () => {
  const told = (/** @type {number[]} */ pointed, changes = {}) =>
    scoreInWords(state({ query_rows: 2, causal: true, step: 3, pointed, ...changes }));
  assert.match(told([0, 3]), /It is skipped; no score is computed/);
  assert.match(told([0, 1]), /masked; it counts as nothing/);
  assert.match(told([1, 0]), /was 0.69 in step 1: used, and forgotten/);
  assert.match(told([2, 1]), /is 1.39, and exp\(s − m\) = 1.00: in fast memory/);
  assert.match(told([3, 3]), /is not computed yet: its tile is step 4/);
  assert.equal(told([2, -1]), "");
});

test("steps and bytes are told in whole sentences", () => {
  assert.equal(stepInWords(state({ step: 0 })), "step 0 of 3: nothing is read yet");
  assert.equal(stepInWords(state({ step: 2 })), "step 2 of 3: queries 0–3 × keys 2–3");
  assert.equal(stepInWords(state({ query_rows: 1, key_columns: 1, step: 6 })), "step 6 of 20: query 1 × key 0");
  assert.equal(stepInWords(state({ step: 3 })), "step 3 of 3: queries 0–3: write their output");
  assert.match(heldInWords(state()), /^A tile of 4 × 2 needs 112 bytes of fast memory, however long the text; all 16/);
  assert.match(movedInWords(state()), /^Moved so far: 32 bytes read, 0 bytes written. At the end 64 bytes are moved;/);
  assert.match(
    movedInWords(state({ step: 3 })),
    /^Moved in all: 48 bytes read, 16 bytes written. With all scores in slow/,
  );
  assert.deepEqual(partsHeld(state({ step: 0 })), [{ hue: "none", words: "empty" }]);
  assert.equal(partsHeld(state()).length, 6);
  assert.deepEqual([short(-0.001), short(-1.5), short(-Infinity)], ["0.00", "−1.50", "−∞"]);
});

test("which step computes a score and which writes an output can be asked", () => {
  const now = state({ query_rows: 2, causal: true });
  assert.deepEqual([stepOf(now, 0, 0), stepOf(now, 0, 2), stepOf(now, 3, 3)], [1, 0, 4]);
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => writtenAt(now, row)),
    [2, 2, 5, 5],
  );
});

test("a place in the picture is a score, a query, or nothing", () => {
  for (const [N, width] of [
    [1, 342],
    [12, 414],
    [16, 342],
  ]) {
    const layout = layoutOf(N, width);
    const { scores, cell, output } = layout;
    assert.ok(layout.width <= width && cell >= 10, `${N} at ${width}`);
    assert.deepEqual(cellAt(layout, scores.x + 1, scores.y + 1), [0, 0]);
    assert.deepEqual(cellAt(layout, scores.x + scores.w - 1, scores.y + scores.h - 1), [N - 1, N - 1]);
    assert.deepEqual(cellAt(layout, 3, scores.y + cell / 2), [0, -1]);
    assert.deepEqual(cellAt(layout, output.x + 3, scores.y + cell / 2), [0, -1]);
    assert.equal(cellAt(layout, scores.x + 1, scores.y - 1), null);
    assert.equal(cellAt(layout, scores.x + 1, scores.y + scores.h + 1), null);
  }
});

test("all scores grow with the square of the text, the tile does not", () => {
  const [scores, tile] = chartOf(state(), 400).series.map(({ curve = [] }) => curve);
  assert.equal(scores[5][1] / scores[4][1], 4);
  assert.equal(tile[5][1], tile[4][1]);
});
