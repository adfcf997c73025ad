// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { ends, qualityWords } from "../../src/head_explorer/quality.js";
import { cellWords, hiddenWords, idleWords, thumbnailWords } from "../../src/head_explorer/speech.js";
import { kink } from "../../src/head_explorer/timing_words.js";

const maps = {
  heads: 2,
  words: ["it", "fits"],
  keys: ["it", "fits"],
  n: 2,
  s: 2,
  own: true,
  small: true,
  allowed: /** @type {Uint8Array | null} */ (null),
  numbers: Float32Array.from([0.75, 0.25, 0.5, 0.5, 0.25, 0.75, 0, 1]),
  told: true,
  groups: 0,
  layers: 1,
};
const shown = { ...maps, all: { ...maps, rest: null, rows: Infinity }, asking: [0, 1], seen: [0, 1], held: null };

test("a cell is read with its words, both heads' weights, their difference and the row's sum", () => {
  const words = cellWords(shown, [0, 0, 1], [0, 1], null);
  assert.equal(words.head + words.query + words.key + words.weight, "head 0: itfits0.25");
  assert.deepEqual([words.precisely, words.sum], ["0.2500", "row sums to 1.00 (1.0000)"]);
  assert.deepEqual(words.beside, [" · head 1: 0.75", " · 0 − 1: −0.50"]);
});

test("a masked cell is said to be, and a byte's weight is about so much", () => {
  const masked = cellWords({ ...shown, allowed: Uint8Array.from([1, 0, 1, 1]) }, [0, 0, 1], [], null);
  assert.deepEqual([masked.weight, masked.precisely], ["masked", ""]);
  const bytes = { ...shown, numbers: Uint8Array.from([255, 0, 0, 255, 255, 0, 0, 255]), told: false };
  assert.deepEqual(cellWords(bytes, [1, 0, 0], [], null).weight, "≈ 1.00");
});

test("what hidden words held is told when it is known", () => {
  const half = { ...shown, held: [0.25] };
  assert.equal(hiddenWords(half, ["it"], []), null);
  const known = { ...shown, held: [0.25, 0.75] };
  assert.match(
    hiddenWords(known, ["it"], []) ?? "",
    /^it hidden: it held 50% of the weight, on average over 2 heads\./,
  );
  assert.match(hiddenWords(known, ["it"], [1]) ?? "", /it held 75% of head 1's weight\./);
});

test("without a cell the line says what to do, with a finger too", () => {
  const still = { focused: false, head: 0, pinned: [], touch: false, view: "maps" };
  assert.match(idleWords(still), /^Point at a cell .* Click a head/);
  assert.match(idleWords({ ...still, touch: true }), /^Tap a cell .* Tap twice on a head/);
  assert.match(idleWords({ ...still, focused: true, view: "lines" }), /arrows choose another/);
});

test("a thumbnail is read by where its head looks most", () => {
  const overview = { ...shown, layers: 2 };
  assert.match(thumbnailWords(overview, [1, 0], false), /^layer 1, head 0: 88% of its weight lies on fits/);
  assert.match(thumbnailWords(overview, null, false), /^All layers and heads: point at one .* click to enter it/);
  assert.match(thumbnailWords(overview, null, true), /^All layers and heads: tap one .* tap it twice to enter it/);
});

test("quality is told with its seeds, on an axis of shares or of what there is", () => {
  const rows = [{ sentence: "s", num_heads: 2, quality: 0.5, seeds: [0.4, 0.6], measure: "right answers" }];
  assert.equal(qualityWords(rows, 2), "2 heads: 0.500 right answers (seeds: 0.400, 0.600).");
  assert.equal(qualityWords(rows, 4), "");
  assert.deepEqual(ends([0.4, 0.6]), { low: 0, high: 1.04, ticks: [0, 0.5, 1] });
  const { low, high, ticks } = ends([1.93, 2.22]);
  assert.ok(low < 1.93 && high > 2.22 && ticks.length >= 2 && ticks.every((tick) => tick >= low && tick <= high));
});

test("the kink is found where one number a head takes less than two", () => {
  const row = (/** @type {number} */ heads, /** @type {number} */ median) =>
    /** @type {const} */ ({ heads, path: "fused", predicted: 1, median, q1: median, q3: median, runs: 7 });
  const timing = { d_model: 8, tokens: 512, device: "cpu", threads: 1, recorded: true, machine: "", note: "" };
  assert.equal(kink({ ...timing, rows: [row(4, 0.1), row(8, 0.073)] })?.heads, 8);
  assert.equal(kink({ ...timing, rows: [row(4, 0.1), row(8, 0.12)] }), null);
  assert.equal(kink({ ...timing, rows: [row(4, 0.1)] }), null);
});
