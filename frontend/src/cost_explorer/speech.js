// @ts-check
// Everything that is said: facts, read-outs, where sizes come from, and the tables beside the pictures.

import { keysSeen, numbersKept, productFlops } from "../shared/layer_kinds.js";
import { amount, grouped, plural } from "../shared/numbers.js";
import { table } from "../shared/table.js";
import { shownCharts } from "./layout.js";
import { BYTES, headWidth, PATHS, sum } from "./maths.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Preset} Preset */

export const TERMS = ["W^Q", "W^K", "W^V", "W^O", "QKᵀ", "AV"];

const percent = (/** @type {number} */ part, /** @type {number} */ total) => `${((100 * part) / total).toFixed(1)}%`;

/**
 * The numbers on top: [value, what it is].
 * @param {State} state
 * @returns {[string, string][]}
 */
export function facts({ sizes, costs }) {
  const total = sum(Object.values(costs.flops));
  const { explicit, fused } = costs.moved_bytes;
  /** @type {[string, string][]} */
  const boxes = [
    [grouped(costs.parameters), `parameters, d_head ${grouped(headWidth(sizes))}`],
    [amount(total, "FLOP"), `${Math.round((100 * (costs.flops.QKᵀ + costs.flops.AV)) / total)}% in QKᵀ and AV`],
    [amount(costs.scores_bytes, "B"), `${grouped(costs.scores)} scores`],
  ];
  if (costs.peak_bytes) boxes.push([amount(costs.peak_bytes, "B"), "peak of the explicit path"]);
  if (explicit && fused) boxes.push([amount(explicit, "B"), `read and written; fused ${amount(fused, "B")}`]);
  boxes.push([amount(costs.cache_bytes, "B"), sizes.latent ? "latents of this layer" : "KV cache of this layer"]);
  for (const path of PATHS) {
    const time = costs.seconds[path];
    if (time) boxes.push([amount(time, "s"), `predicted, ${path}`]);
  }
  return boxes;
}

/**
 * FLOPs of each term in words.
 * @param {State} state
 */
export function termsInWords({ costs: { flops } }) {
  const total = sum(Object.values(flops));
  return TERMS.map((term) => `${term} ${amount(flops[term], "FLOP")}, ${percent(flops[term], total)}`);
}

/**
 * What a chart says at one place of the axis across: "at 1,024: projections 2.15 GFLOP, …".
 * @param {State} state
 * @param {ReturnType<typeof shownCharts>[number]} chart
 * @param {number} place
 */
export function reading(state, { unit, curves }, place) {
  const at = place === state.here ? state : state.over.find((one) => one.place === place);
  const parts = [];
  for (const { name, get } of curves) {
    const counted = at && get(at.costs);
    if (typeof counted === "number") parts.push(`${name} ${amount(counted, unit)}`);
    const point = unit === "s" && state.points.find((one) => one.place === place && one.path === name);
    if (point) {
      const spread = point.high > point.low ? ` (${amount(point.low, "s")} to ${amount(point.high, "s")})` : "";
      parts.push(`${typeof counted === "number" ? "" : `${name} `}measured ${amount(point.seconds, "s")}${spread}`);
    }
  }
  const what = state.against === "heads" && place === 1 ? "head" : state.against;
  return `${grouped(place)} ${what}: ${parts.join(", ") || "not measured"}`;
}

/**
 * The stored maps in words.
 * @param {State} state
 * @param {{ each: number }} place
 */
export function mapsInWords({ sizes: { batch, n, num_heads, num_kv_heads, latent }, costs }, { each }) {
  const count = batch * num_heads;
  const square = each > 1 ? `, a square for ${grouped(each)}` : "";
  const maps = `${grouped(count)} ${count === 1 ? "map" : "maps"} of ${grouped(n)} × ${grouped(n)}${square}`;
  const shared =
    !latent && num_kv_heads < num_heads ? ` ${grouped(num_heads / num_kv_heads)} of a shade share keys.` : "";
  return `${maps}: ${amount(costs.scores_bytes, "B")}, which the fused path never stores.${shared}`;
}

/**
 * Where the sizes of a real model come from.
 * @param {Preset} model
 */
export function sourceInWords({ context, window, source, bias }) {
  const seen = window ? `, of which a layer sees ${grouped(window)}` : "";
  const without = bias === "QKV" ? "; no bias on W^O" : "";
  return `${source}; longest text ${plural(context, "token")}${seen}${without}`;
}

/**
 * What is not counted of a real model, and how a latent is.
 * @param {Preset} model
 */
export function leftOutInWords({ layers, left_out, latent }) {
  const parts = [];
  if (layers) parts.push(`Layers: ${layers}.`);
  if (latent) {
    const queries = latent.query ? `, queries from ${grouped(latent.query)}` : "";
    parts.push(
      `Keys and values of all heads are made from a latent of ${grouped(latent.numbers)} numbers a token${queries}: ` +
        "counted as where a text is read.",
    );
  }
  if (left_out) parts.push(`Left out: ${left_out}.`);
  return parts.join(" ");
}

/**
 * The line below the charts.
 * @param {State} state
 */
export function noteInWords({ sizes, machine, costs, points, measured, at }) {
  const { d_model, num_heads } = sizes;
  const parts = [];
  const together = num_heads * headWidth(sizes);
  if (together !== d_model && !sizes.latent) {
    const ratio = Number((together / d_model).toPrecision(3));
    const heads = `${plural(num_heads, "head")} × ${grouped(headWidth(sizes))} = ${grouped(together)}`;
    parts.push(`${heads}, ${ratio} × d_model: W^Q leads there, and W^O back.`);
  }
  const timed = Object.keys(costs.seconds).length > 0;
  if (machine && !timed) parts.push(`Time is predicted in float32${sizes.latent ? " and without a latent" : ""} only.`);
  if (timed) parts.push("Curves of time: predicted in float32.");
  if (points.length) parts.push("Points: measured.");
  else if (measured.length) parts.push(`The measured points belong to ${measuredLayers(measured, at)}.`);
  return parts.join(" ");
}

/**
 * @param {import("./traits.js").Measured[]} measured
 * @param {{ d_model: number, batch: number, dtype: string }} at
 */
function measuredLayers(measured, { d_model, batch, dtype }) {
  const counts = [...new Set(measured.map(({ num_heads }) => num_heads))].sort((a, b) => a - b);
  const keys = [...new Set(measured.map(({ num_kv_heads }) => num_kv_heads))].sort((a, b) => a - b);
  const { d_head } = measured[0];
  const own = d_head === null || d_head === d_model / counts[0] ? "" : `d_head ${d_head}, `;
  const heads = `${counts.join(", ")} ${counts.length === 1 && counts[0] === 1 ? "head" : "heads"}`;
  return `d_model ${grouped(d_model)}, ${heads}, ${keys.join(", ")} K/V heads, ${own}batch ${batch}, ${dtype}`;
}

/**
 * The numbers behind the charts: a row for every second length, or every head count; the present one; and the measured.
 * @param {State} state
 */
export function numbersTable(state) {
  const { over, against, here, points } = state;
  const kept = over.filter((_, i) => against === "heads" || i % 2 === 0).map(({ place }) => place);
  const places = [...new Set([...kept, here, ...points.map(({ place }) => place)])].sort((a, b) => a - b);
  const charts = shownCharts(state);
  const columns = charts.flatMap(({ title, unit, curves }) =>
    curves
      .filter(({ get }) => typeof get(state.costs) === "number")
      .map(({ name, get }) => ({ heading: `${title}: ${name}`, unit, get })),
  );
  const paths = PATHS.filter((path) => points.some((point) => point.path === path));
  const rows = places.map((place) => {
    const at = place === here ? state : over.find((one) => one.place === place);
    const counted = columns.map(({ unit, get }) => (at ? amount(Number(get(at.costs)), unit) : ""));
    const timed = paths.map((path) => points.find((point) => point.place === place && point.path === path));
    return [grouped(place), ...counted, ...timed.map((point) => (point ? amount(point.seconds, "s") : ""))];
  });
  const headings = [...columns.map(({ heading }) => heading), ...paths.map((path) => `measured: ${path}`)];
  return table({ caption: `The charts against ${against}`, corner: against, columns: headings, rows });
}

/**
 * FLOPs of each term, and their part of all.
 * @param {State} state
 */
export function termsTable({ sizes, costs: { flops } }) {
  const total = sum(Object.values(flops));
  return table({
    caption: `FLOPs by term at ${plural(sizes.n, "token")}`,
    columns: TERMS,
    rows: [
      ["FLOPs", ...TERMS.map((term) => amount(flops[term], "FLOP"))],
      ["share", ...TERMS.map((term) => percent(flops[term], total))],
    ],
  });
}

/**
 * Every kind of layer of a model: how many there are, which keys a query sees, what that costs, what it keeps.
 * @param {State} state
 * @param {Preset} model
 */
export function kindsTable({ sizes: { n, batch, dtype } }, { name, kinds }) {
  const flops = kinds.map((kind) => batch * kind.layers * productFlops(kind, n));
  const bytes = kinds.map((kind) => batch * kind.layers * numbersKept(kind, n) * BYTES[dtype]);
  const rows = kinds.map((kind, i) => [
    kind.words,
    grouped(kind.layers),
    kind.width ? grouped(keysSeen(kind, n)) : "no keys",
    kind.width ? amount(flops[i], "FLOP") : "not counted",
    kind.shared ? "nothing" : amount(bytes[i], "B"),
  ]);
  const layers = kinds.reduce((total, kind) => total + kind.layers, 0);
  rows.push(["together", grouped(layers), "", amount(sum(flops), "FLOP"), amount(sum(bytes), "B")]);
  const columns = ["layers", "keys that the last token sees", "QKᵀ and AV", "kept of the text"];
  return table({ caption: `All layers of ${name}, ${plural(n, "token")}`, corner: "kind", columns, rows });
}
