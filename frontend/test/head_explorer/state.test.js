// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import {
  advance,
  allMaps,
  brightest,
  dials,
  hoveredCell,
  mapOf,
  rowOf,
  withoutHidden,
} from "../../src/head_explorer/state.js";

const NONE = new DataView(new ArrayBuffer(0));

/** @param {Record<string, unknown>} traits */
const reading = (traits) => {
  const all = {
    source: "projection",
    view: "maps",
    num_layers: 1,
    layer: 0,
    num_heads: 2,
    d_model: 4,
    causal: false,
    window: 0,
    shuffle: 0,
    num_kv_heads: 0,
    tokens: ["a", "b", "c"],
    _mask: NONE,
    _recordings: [],
    _added: [],
    sentence: "",
    ...traits,
  };
  return /** @type {import("../../src/head_explorer/state.js").Get} */ ((name) => /** @type {any} */ (all)[name]);
};

/** @param {number[]} numbers */
const floats = (numbers) => new DataView(Float32Array.from(numbers).buffer);
const random = Array.from({ length: 12 }, (_, i) => Math.sin(7 * i + 1));
const projection = { _query: floats(random), _key: floats(random.map((x, i) => x + Math.cos(i))) };

/** @param {Record<string, unknown>} traits */
function computed(traits, hidden = /** @type {string[]} */ ([])) {
  const shown = withoutHidden(allMaps(reading({ ...projection, ...traits }), null, null), hidden);
  advance(shown, Infinity);
  return shown;
}

test("the sliders move what the source has: layers, divisors of d_model, or trained head counts", () => {
  assert.deepEqual(dials(reading({ source: "recorded" })), []);
  assert.deepEqual(
    dials(reading({ source: "recorded", num_layers: 3 })).map(({ trait, steps }) => [trait, steps]),
    [["layer", [0, 1, 2]]],
  );
  assert.deepEqual(dials(reading({ d_model: 6 }))[0].steps, [1, 2, 3, 6]);
  const _recordings = [8, 1, 4, 1, 8, 4].map((num_heads) => ({ num_heads }));
  const both = dials(reading({ source: "trained", _recordings, num_layers: 2 }));
  assert.deepEqual(
    both.map(({ steps }) => steps),
    [
      [1, 4, 8],
      [0, 1],
    ],
  );
});

test("rows are weights: they sum to 1, masked cells are 0", () => {
  const shown = computed({ causal: true });
  for (const head of [0, 1]) {
    const map = mapOf(shown, head);
    for (const row of [0, 1, 2])
      assert.ok(Math.abs(map.slice(3 * row, 3 * row + 3).reduce((a, b) => a + b) - 1) < 1e-6);
    assert.deepEqual([map[1], map[2], map[5]], [0, 0, 0]);
  }
});

test("shuffled columns leave one head's map as it is, and change those of more", () => {
  const far = (/** @type {number} */ num_heads) => {
    const [ordered, shuffled] = [0, 5].map((shuffle) => mapOf(computed({ num_heads, shuffle }), 0));
    return Math.max(...ordered.map((weight, i) => Math.abs(weight - shuffled[i])));
  };
  assert.ok(far(1) < 1e-6);
  assert.ok(far(2) > 0.01);
});

test("as many heads of keys as heads is no sharing", () => {
  assert.deepEqual(mapOf(computed({ num_kv_heads: 2 }), 1), mapOf(computed({}), 1));
  assert.equal(computed({ num_kv_heads: 2 }).groups, 0);
  assert.notDeepEqual(mapOf(computed({ num_kv_heads: 1 }), 1), mapOf(computed({}), 1));
});

test("without a word the rows sum to 1 again, and what it held is known", () => {
  const [whole, shown] = [computed({}), computed({}, ["b"])];
  assert.deepEqual([shown.n, shown.s, shown.seen], [2, 2, [0, 2]]);
  const row = rowOf(shown, 1, 1, null).row;
  assert.ok(Math.abs(row[0] + row[1] - 1) < 1e-6);
  const map = mapOf(whole, 1);
  assert.ok(Math.abs((shown.held?.[1] ?? 0) - (map[1] + map[7]) / 2) < 1e-6);
  assert.equal(withoutHidden(whole.all, ["a", "b", "c"]).n, 3, "of nothing, the whole is shown");
});

test("the cell that is read is found among what is on show, or not at all", () => {
  const shown = computed({}, ["b"]);
  assert.deepEqual(hoveredCell(shown, [1, 2, 0]), [1, 1, 0]);
  assert.equal(hoveredCell(shown, [1, 1, 0]), null);
  assert.equal(hoveredCell(shown, []), null);
  assert.equal(hoveredCell(shown, [2, 0, 0]), null);
});

test("the overview has the heads of all layers, one layer after the other", () => {
  const weights = new DataView(Uint8Array.from({ length: 2 * 2 * 9 }, (_, i) => i).buffer);
  const _recordings = [{ sentence: "a b c", tokens: ["a", "b", "c"], weights, mask: NONE }];
  const recorded = { source: "recorded", num_layers: 2, _recordings, sentence: "a b c" };
  const all = allMaps(reading({ ...recorded, view: "overview" }), null, null);
  assert.deepEqual([all.heads, all.layers], [4, 2]);
  const second = allMaps(reading({ ...recorded, layer: 1 }), null, null);
  assert.deepEqual(mapOf(all, 3), mapOf(second, 1));
});

test("a pixel that shows many cells is read where the weight is largest", () => {
  const shown = computed({ num_heads: 1 });
  const map = mapOf(shown, 0);
  const [head, query, key] = brightest(shown, { head: 0, query: 0, key: 1 }, 3);
  assert.equal(head, 0);
  assert.equal(map[3 * query + key], Math.max(...map));
});
