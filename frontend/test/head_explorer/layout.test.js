// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { arrange, glance, placeAt, TALL } from "../../src/head_explorer/layout.js";
import { overview, withLines, wordAt } from "../../src/head_explorer/other_layouts.js";

/** Widths of an explorer and heights of what is left below its controls: measured in JupyterLab and in saved pages. */
const SCREENS = /** @type {const} */ ([
  [844, 448], // 1280 × 720, file browser open
  [1096, 448],
  [588, 456], // 1024 × 768
  [840, 496],
  [1484, 816], // 1920 × 1080
]);

test("maps and chart stand within the height that is left, on every projector", () => {
  for (const [width, height] of SCREENS) {
    const { mode, limit, column, chart } = glance(width, height);
    for (const heads of [1, 12, 64, 192]) {
      const stage = mode === "beside" ? width - column - 12 : width;
      const maps = arrange({ heads, n: 15, s: 15, width: stage, limit });
      const together = mode === "beside" ? Math.max(maps.height, chart.height) : maps.height + chart.height + 54;
      assert.ok(together <= height, `${heads} heads on ${width} × ${height}: ${together}`);
      assert.ok(maps.places[0].wide >= 14, `${heads} heads on ${width} × ${height}: ${maps.places[0].wide} px a map`);
    }
    assert.ok(chart.width >= 240 && chart.height >= 150);
  }
});

test("quality and times have room together too", () => {
  for (const [width, height] of SCREENS) {
    const { mode, limit, column, chart } = glance(width, height, 2);
    const maps = arrange({ heads: 64, n: 32, s: 32, width: mode === "beside" ? width - column - 12 : width, limit });
    const both = mode === "beside" ? 2 * chart.height + (column < 400 ? 225 : 215) : chart.height + 132;
    assert.ok(mode === "beside" ? Math.max(maps.height, both) <= height : maps.height + both <= height);
    assert.ok(chart.width >= 240 && chart.height >= 110);
  }
});

test("a phone has maps and chart one below the other, at its whole width", () => {
  const { mode, limit, chart } = glance(338, 600);
  assert.equal(mode, "stacked");
  assert.ok(limit <= 600 && chart.width <= 338);
});

test("enlarged heads keep their size where the screen is low", () => {
  const low = arrange({ heads: 12, n: 15, s: 15, width: 844, limit: 400, pinned: [3] });
  const place = low.places[low.places.length - 1];
  assert.ok(place.large && place.head === 3 && place.wide >= 250);
  assert.equal(arrange({ heads: 12, n: 15, s: 15, width: 844, pinned: [3] }).places.length, 13);
});

test("12 × 12 heads of 64 tokens are all in the overview, apart, and a point finds each", () => {
  const room = { heads: 144, layers: 12, n: 64, s: 64, width: 844, limit: TALL, unit: 1 };
  const { places, columns, height } = overview(room);
  assert.equal(columns, 12);
  assert.ok(height <= TALL);
  for (const place of places) {
    assert.ok(place.wide >= 24 && place.x + place.wide <= 844 && place.y + place.high <= height);
    const found = placeAt(places, 64, 64, place.x + place.wide / 2, place.y + place.high / 2);
    assert.equal(found?.head, place.head);
  }
});

test("lines run beside the map where there is room, below it on a phone, and a point finds each word", () => {
  for (const [width, beside] of /** @type {const} */ ([
    [844, true],
    [338, false],
  ])) {
    const layout = withLines({ heads: 12, n: 8, s: 5, width, limit: 400, pinned: [2], wordRoom: 60, unit: 1 });
    const { places, height } = layout;
    const lines = /** @type {import("../../src/head_explorer/layout.js").Lines} */ (layout.lines);
    const map = places[places.length - 1];
    assert.equal(lines.x > map.x + map.wide, beside);
    assert.ok(lines.end <= width && lines.top[0] + 7 * lines.step < height);
    for (const [side, count] of /** @type {const} */ ([
      ["query", 8],
      ["key", 5],
    ])) {
      const x = side === "query" ? lines.x - 20 : lines.end + 20;
      const top = lines.top[side === "query" ? 0 : 1];
      for (let row = 0; row < count; row++) {
        assert.deepEqual(wordAt(lines, 8, 5, x, top + row * lines.step), { side, row });
      }
      assert.equal(wordAt(lines, 8, 5, x, top + count * lines.step), null);
    }
  }
});
