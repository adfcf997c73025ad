// @ts-check
// Where things stand: the charts beside each other, what is on their axes, and the stored maps.

import { amount, grouped } from "../shared/numbers.js";
import { PATHS, sum } from "./maths.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./maths.js").Costs} Costs */
/** @typedef {import("../shared/chart_layout.js").Chart} Chart */

const [NARROWEST, WIDEST, GAP] = [250, 640, 12]; // of charts, and between them: three stand side by side on a projector
const TICKS = [16, 128, 1024, 8192, 65536];
const [MOST_MAPS, BETWEEN] = [512, 3]; // squares that are drawn, and pixels between them

/**
 * How many charts stand side by side, and how large they are.
 * @param {number} room
 * @param {number} count
 */
export function chartPlaces(room, count) {
  const columns = Math.min(count, Math.max(1, Math.floor((room + GAP) / (NARROWEST + GAP))));
  const width = Math.min(WIDEST, Math.round((room + GAP) / columns - GAP)) || WIDEST;
  return { columns, width, height: Math.round(columns === 1 ? 0.5 * width + 50 : 0.62 * width + 30) };
}

/** @param {Costs} costs */
const products = ({ flops }) => flops.QKᵀ + flops.AV;

/** @typedef {{ name: string, hue: 1 | 2 | 3, dash?: string, get: (costs: Costs) => number | null | undefined }} Curve */
/** @type {{ title: string, unit: string, curves: Curve[] }[]} */
const CHARTS = [
  {
    title: "FLOPs",
    unit: "FLOP",
    curves: [
      { name: "projections", hue: 1, get: (c) => sum(Object.values(c.flops)) - products(c) },
      { name: "QKᵀ and AV", hue: 2, dash: "9 3", get: products },
    ],
  },
  {
    title: "Memory",
    unit: "B",
    curves: [
      { name: "explicit peak", hue: 1, get: (c) => c.peak_bytes },
      { name: "scores", hue: 2, dash: "9 3", get: (c) => c.scores_bytes },
      { name: "KV cache", hue: 3, dash: "2 3", get: (c) => c.cache_bytes },
    ],
  },
  {
    title: "Time",
    unit: "s",
    curves: [
      { name: PATHS[0], hue: 1, dash: "9 3", get: (c) => c.seconds.explicit },
      { name: PATHS[1], hue: 2, dash: "2 3", get: (c) => c.seconds.fused },
    ],
  },
];

/**
 * The charts that there is something to draw in, with the curves of theirs that are counted or measured.
 * @param {State} state
 */
export function shownCharts({ costs, points }) {
  const known = (/** @type {Curve} */ { name, get }, /** @type {string} */ unit) =>
    typeof get(costs) === "number" || (unit === "s" && points.some(({ path }) => path === name));
  return CHARTS.map((chart) => ({
    ...chart,
    curves: chart.curves.filter((curve) => known(curve, chart.unit)),
  })).filter(({ curves }) => curves.length);
}

/**
 * Powers of 10, or of 32 for bytes, so that ticks are round. An axis has a length, even for a single point.
 * @param {string} unit
 * @param {number[]} values
 */
export function axis(unit, values) {
  const base = unit === "B" ? 32 : 10;
  const level = (/** @type {number} */ value) => Math.log(value) / Math.log(base);
  const low = Math.floor(level(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(level(Math.max(...values)) - 1e-9));
  const step = Math.max(1, Math.floor((high - low) / 6));
  const ticks = [];
  for (let power = low; power <= high; power += step) ticks.push(base ** power);
  return {
    low: base ** low,
    high: base ** high,
    log: true,
    ticks,
    words: (/** @type {number} */ v) => amount(v, unit),
  };
}

/**
 * One chart as shared/chart.js draws it.
 * @param {State} state
 * @param {ReturnType<typeof shownCharts>[number]} of
 * @param {{ width: number, height: number }} size
 * @returns {Chart}
 */
export function chartOf(state, { unit, curves }, size) {
  const { sizes, costs, over, against, here } = state;
  const points = unit === "s" ? state.points : [];
  const series = curves.map(({ name, hue, dash, get }) => ({
    name: unit === "s" ? `${"●◆"[hue - 1]} ${name}` : name,
    hue,
    dash,
    curve: /** @type {[number, number][]} */ (
      over.map((at) => [at.place, get(at.costs)]).filter(([, y]) => typeof y === "number")
    ),
    points: points
      .filter(({ path }) => path === name)
      .sort((a, b) => a.place - b.place)
      .map(({ place, seconds, low, high }) => ({ x: place, y: seconds, low, high })),
    joined: true,
  }));
  const values = series.flatMap((one) => [
    ...one.curve.map(([, y]) => y),
    ...one.points.flatMap(({ y, low, high }) => [y, low, high]),
  ]);
  const places = over.map(({ place }) => place);
  /** @type {import("../shared/chart_layout.js").Line[]} */
  const lines = [{ kind: "here", at: here }];
  if (unit === "FLOP" && against === "tokens") {
    const plain = sizes.num_kv_heads === sizes.num_heads && !sizes.latent && costs.crossing === 2 * sizes.d_model;
    lines.push({
      kind: "meet",
      at: costs.crossing,
      words: `${plain ? "N = 2D = " : "equal at "}${grouped(costs.crossing)}`,
    });
  }
  const across = {
    low: places[0],
    high: places[places.length - 1],
    log: true,
    ticks: against === "tokens" ? TICKS : places,
    words: grouped,
    title: against,
  };
  return { ...size, across, up: axis(unit, values), series, lines };
}

/**
 * How `count` maps of n × n scores lie in a box: squares true to one scale, as large as they fit, in rows. Tokens a pixel
 * are a power of 2 and never fewer than a quarter; each square stands for `each` maps.
 * @param {number} count
 * @param {number} n
 * @param {number} width
 * @param {number} height
 */
export function mapsLayout(count, n, width, height) {
  const each = Math.ceil(count / MOST_MAPS);
  const drawn = Math.ceil(count / each);
  for (let tokens = 0.25; ; tokens *= 2) {
    const side = Math.max(n / tokens, 1);
    const columns = Math.floor((width + BETWEEN) / (side + BETWEEN));
    if (columns && Math.ceil(drawn / columns) * (side + BETWEEN) - BETWEEN <= height) {
      return { each, drawn, tokens, side, columns: Math.min(columns, drawn), gap: BETWEEN };
    }
  }
}
