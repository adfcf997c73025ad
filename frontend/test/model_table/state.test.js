// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import {
  cacheInWords,
  captionInWords,
  chipInWords,
  headOf,
  numberInWords,
  openInWords,
  plotLabel,
  sizesInWords,
  specialInWords,
  statusInWords,
} from "../../src/model_table/speech.js";
import { answers, askedNext, derived, has, keyOf, sorted, sortedNext } from "../../src/model_table/state.js";

/** @typedef {import("../../src/model_table/traits.js").Row} Row */

const NOTHING = { gate: "", sinks: "" };
/** @param {Partial<Row>} more @returns {Row} */
const row = (more) => ({
  ...{ name: "plain", year: 2024, layers: 4, d_model: 512, num_heads: 8, num_kv_heads: 8, d_head: 64, ratio: 1 },
  ...{ cached: 4096, later: 4096, decoder: true, pattern: "GGGG", shared: 0, kinds: "4 global", has: NOTHING },
  ...{ note: "", source: "", certainty: "", left: "" },
  ...more,
});
const PLAIN = row({});
const GATED = row({ name: "Gated", year: 2025, pattern: "LLLG", has: { gate: "an output gate", sinks: "" } });
const BOTH = row({ name: "both", year: 2025, d_model: 4096, has: { gate: "an output gate", sinks: "learned" } });
const UNSAID = row({ name: "unsaid", year: 2026, d_head: null, ratio: null, has: { gate: null, sinks: "" } });
const ALL = [PLAIN, GATED, BOTH, UNSAID];

/** @param {Partial<import("../../src/model_table/traits.js").Traits>} more */
const state = (more = {}) =>
  derived({
    ...{ model: "", pointed: "", sort: "year", descending: false, ask: {}, across: "d_model", up: "num_heads" },
    ...{
      _models: ALL,
      _columns: [
        ["d_model", "d_model", ""],
        ["num_heads", "heads\nH", ""],
      ],
      _colours: [],
    }, // prettier-ignore
    _features: [
      ["gate", "gate", "an output gate"],
      ["sinks", "sinks", "sinks"],
    ], // prettier-ignore
    ...more,
  });
const names = (/** @type {Row[]} */ rows) => rows.map(({ name }) => name);

test("a model has a feature, has it not, or its source does not say", () => {
  assert.deepEqual(
    ALL.map((one) => has(one, "gate")),
    [false, true, true, null],
  );
});

test("a model answers where it has all that is asked for and nothing that is asked away", () => {
  const asked = (/** @type {Record<string, boolean>} */ ask) => ALL.map((one) => answers(one, ask));
  assert.deepEqual(asked({}), [true, true, true, true]);
  assert.deepEqual(asked({ gate: true }), [false, true, true, null]);
  assert.deepEqual(asked({ gate: false }), [true, false, false, null]);
  assert.deepEqual(asked({ gate: true, sinks: true }), [false, false, true, false]); // what it lacks, it lacks for sure
  assert.deepEqual(asked({ gate: true, sinks: false }), [false, true, false, null]);
});

test("a click asks for a feature, the next for its absence, a third for nothing", () => {
  let ask = askedNext({ sinks: true }, "gate");
  assert.deepEqual(ask, { sinks: true, gate: true });
  ask = askedNext(ask, "gate");
  assert.deepEqual(ask, { sinks: true, gate: false });
  assert.deepEqual(askedNext(ask, "gate"), { sinks: true });
});

test("a click on a head sorts by it, a second one turns the order round, another head begins anew", () => {
  const first = sortedNext({ sort: "year", descending: true }, "d_model");
  assert.deepEqual(first, { sort: "d_model", descending: false });
  const second = sortedNext(first, "d_model");
  assert.deepEqual(second, { sort: "d_model", descending: true });
  assert.deepEqual(sortedNext(second, "year"), { sort: "year", descending: false });
});

test("rows are in the order of a column both ways, equal ones as they were, what is not known last", () => {
  assert.deepEqual(names(sorted(ALL, "year", false)), ["plain", "Gated", "both", "unsaid"]);
  assert.deepEqual(names(sorted(ALL, "year", true)), ["unsaid", "Gated", "both", "plain"]);
  assert.deepEqual(names(sorted(ALL, "name", false)), ["both", "Gated", "plain", "unsaid"]);
  for (const descending of [false, true]) assert.equal(names(sorted(ALL, "d_head", descending))[3], "unsaid");
  assert.deepEqual(names(sorted(ALL, "gate", false)), ["Gated", "both", "plain", "unsaid"]); // who has it first
  assert.deepEqual(names(sorted(ALL, "gate", true)), ["plain", "Gated", "both", "unsaid"]);
});

test("layers sort by the share of those that look at the whole text", () => {
  assert.deepEqual(
    ["GGGG", "LLLG", "SSSN", "VL", null].map((pattern) => keyOf(row({ pattern }), "pattern")),
    [1, 0.25, 0.25, 0, null],
  );
});

test("each feature is counted among the models that answer all else", () => {
  assert.deepEqual(state().counts, { gate: [2, 1], sinks: [1, 3] });
  assert.deepEqual(state({ ask: { gate: true } }).counts, { gate: [2, 1], sinks: [1, 1] });
  assert.deepEqual(state({ ask: { gate: true, sinks: true } }).counts, { gate: [1, 0], sinks: [1, 1] });
  assert.equal(state({ ask: { gate: true } }).unsaid, 1);
});

test("the open row stays open where the table does not show it", () => {
  const now = state({ model: "plain", ask: { gate: true } });
  assert.deepEqual([now.open?.name, names(now.rows)], ["plain", ["Gated", "both"]]);
  assert.equal(state({ model: "" }).open, null);
});

test("how many answer is one sentence, with those whose source does not say", () => {
  assert.equal(statusInWords(state()), "4 models");
  const more = "; the source of 1 more does not say";
  assert.equal(statusInWords(state({ ask: { gate: true } })), `2 of 4: with an output gate${more}`);
  assert.equal(
    statusInWords(state({ ask: { gate: true, sinks: false } })),
    `1 of 4: with an output gate, without sinks${more}`,
  );
  assert.equal(statusInWords(state({ ask: { sinks: true, gate: true } })), "1 of 4: with an output gate and sinks");
  assert.equal(chipInWords("gate", undefined, [2, 1]), "gate 2");
  assert.equal(chipInWords("gate", true, [2, 1]), "gate 2");
  assert.equal(chipInWords("gate", false, [2, 1]), "without gate 1");
});

test("a cell says its number, ? where it is not known, and none where there is no cache", () => {
  const numbers = row({ year: 2026, d_model: 6144, ratio: 8 / 3, cached: null });
  assert.deepEqual(
    /** @type {const} */ (["year", "d_model", "ratio", "cached"]).map((column) => numberInWords(numbers, column)),
    ["2026", "6,144", "2.67", "?"],
  );
  assert.equal(numberInWords(row({ cached: null, decoder: false }), "cached"), "none");
  assert.equal(numberInWords(UNSAID, "d_head"), "?");
});

test("the open row tells sizes, cache and what its source leaves open in sentences", () => {
  assert.equal(sizesInWords(PLAIN), "4 layers: 4 global. d_model 512, 8 heads of 64: H·d_head = 1.00 × d_model.");
  const shared = row({ num_kv_heads: 2, ratio: 1.5, d_head: 96 });
  assert.match(sizesInWords(shared), /8 heads of 96, which share 2 of keys and values: H·d_head = 1\.50 × d_model\.$/);
  const open = row({ layers: null, kinds: "layers: ?", d_head: null, ratio: null });
  assert.equal(
    sizesInWords(open),
    "How many layers, its source does not say. d_model 512, 8 heads (their width its source does not say).",
  );
  assert.equal(cacheInWords(PLAIN), "A token adds 4,096 numbers to the cache of all layers.");
  assert.match(cacheInWords(row({ later: 1024 })), /4,096 numbers .*, and 1,024 once every window is full\.$/);
  assert.match(cacheInWords(row({ cached: null, later: null })), /does not say\.$/);
  assert.match(cacheInWords(row({ decoder: false, cached: null })), /keeps no cache\.$/);
  assert.deepEqual(specialInWords(BOTH), ["an output gate", "learned"]);
  assert.equal(openInWords(UNSAID, state().features), "Its source does not say: gate.");
  assert.equal(openInWords(PLAIN, state().features), "");
});

test("the plot is read at the pointed model, else at the open one, and names itself", () => {
  assert.equal(captionInWords(state({ model: "both" }), 0), "both: d_model 4,096, heads H 8");
  assert.equal(captionInWords(state({ model: "both", pointed: "plain" }), 0), "plain: d_model 512, heads H 8");
  assert.match(captionInWords(state(), 1), /^1 model without a dot/);
  assert.equal(
    plotLabel(state({ ask: { gate: true } })),
    "heads H against d_model: 4 models, 2 of them lit; the table has their numbers",
  );
  assert.equal(headOf([["a", "two\nlines", ""]], "a"), "two lines");
});
