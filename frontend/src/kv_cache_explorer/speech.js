// @ts-check
// Everything that is said: the cache and how it comes about, its speed, what is left out, and the tables.

import { entries, numbersKept as keptOf, keysSeen } from "../shared/layer_kinds.js";
import { grouped, plural } from "../shared/numbers.js";
import { table } from "../shared/table.js";
import { SAME } from "./layout.js";
import { headsOf, numbersKept, size } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Store} Store */

/**
 * Tokens a second in few digits.
 * @param {number} rate
 */
export const perSecond = (rate) => (rate >= 10 ? grouped(rate) : String(Number(rate.toPrecision(2))));

/**
 * A row of bars is named by its heads; null: the latent.
 * @param {State} state
 * @param {number | null} heads
 */
export function headsInWords({ model }, heads) {
  if (heads === null) return "latent";
  return `${heads}${{ 1: " (MQA)", [model.num_heads]: " (MHA)" }[heads] ?? ""}`;
}

/** @param {State} state */
export const totalInWords = ({ bytes, model }) => `${size(bytes)} of ${model.kept}`;

/** @param {State} state */
export function tokenInWords({ token, model }) {
  const first = model.stores.some(({ kind }) => kind === "local") ? " until a window is full" : "";
  return `${size(token)} a token${first}; layers: ${model.layers}`;
}

/**
 * A line for each kind of store: how its bytes come about.
 * @param {State} state
 */
export function partsInWords({ model, heads, context, batch, width }) {
  const many = batch === 1 ? "" : ` × ${grouped(batch)} texts`;
  return model.stores.map((store) => {
    const kind = model.stores.length === 1 ? "" : `${store.kind}: `;
    const things = store.every > 1 ? "entries" : "tokens";
    const count = store.kind === "state" ? "" : ` × ${grouped(entries(store, context))} ${things}`;
    const kept = store.layers * entries(store, context) * numbersKept(model, store, heads) * width * batch;
    const words = `${plural(store.layers, "layer")} × ${numbersInWords(model, store, heads)} × ${width} bytes`;
    return `${kind}${words}${count}${many} = ${size(kept)}`;
  });
}

/**
 * Numbers an entry in one layer, as they come about.
 * @param {State["model"]} model
 * @param {Store} store
 * @param {number | null} heads
 */
function numbersInWords(model, store, heads) {
  if (store.kind === "state" || heads === null) return `${grouped(store.fixed)} numbers`;
  const { key, value } = store;
  const many = plural(headsOf(model, store, heads), "head");
  if (key === value) return `2 × ${many} × ${key} numbers`;
  return `${many} × ${value ? `(${key} + ${value})` : key} numbers`;
}

/** @param {State} state */
export const speedInWords = ({ rate, batch, bandwidth }) =>
  `at most ${perSecond(rate)} tokens a second${batch === 1 ? "" : " for each text"}: ` +
  `${grouped(bandwidth)} GB/s, and every step reads the whole cache`;

/** @param {State} state */
export function noteInWords({ model, context, heads }) {
  const remarks = [];
  const { published, stores } = model;
  if (published && context > published) remarks.push(`Published for ${grouped(published)} tokens: this is beyond.`);
  for (const { kind, layers, window } of stores) {
    if (kind === "local" && window < context) {
      remarks.push(
        `A sliding window: ${plural(layers, "layer")} ${layers === 1 ? "keeps" : "keep"} the last ${plural(window, "token")}.`,
      );
    }
  }
  if (heads !== null && heads !== model.num_kv_heads) remarks.push(`The published model has ${model.num_kv_heads}.`);
  if (model.left_out) remarks.push(`Left out: ${model.left_out}.`);
  return [...remarks, "The model's weights come on top, in memory and in reading."].join(" ");
}

/**
 * What the chart says at one context.
 * @param {State} state
 * @param {number} context
 */
export function reading(state, context) {
  const at = state.over.find((one) => one.context === context) ?? state;
  return `${plural(context, "token")}: ${size(at.bytes)}; ${SAME} ${size(at.full)}`;
}

/** A cache as a share of that of plain layers. */
const share = (/** @type {number} */ part, /** @type {number} */ all) =>
  `${Number(((100 * part) / all).toPrecision(2))}%`;

/**
 * The chart in numbers.
 * @param {State} state
 */
export function chartTable({ over, model }) {
  const rows = over.map(({ context, bytes, full }) => [grouped(context), size(bytes), size(full), share(bytes, full)]);
  const columns = [model.name, SAME, "share"];
  return table({ caption: "The cache as texts grow", corner: "tokens", columns, rows });
}

/**
 * Every kind of layer of the model.
 * @param {State} state
 */
export function kindsTable({ model, context, batch, width }) {
  const rows = model.kinds.map((kind) => [
    kind.words,
    grouped(kind.layers),
    kind.width ? grouped(keysSeen(kind, context)) : "no keys",
    kind.shared ? "nothing" : size(kind.layers * keptOf(kind, context) * width * batch),
  ]);
  const columns = ["layers", "keys that the last token sees", "kept, as published"];
  return table({ caption: `All layers of ${model.name}`, corner: "kind", columns, rows });
}

/**
 * The caches of all models at this context, the smallest first; a context beyond the published one in brackets.
 * @param {State} state
 */
export function modelsTable({ all, context, batch }) {
  const rows = all.map(({ model, token, bytes, full }) => {
    const beyond = model.published && context > model.published;
    const layers = model.kinds.map((kind) => `${kind.layers} ${kind.words}`).join("; ");
    return [model.name, layers, size(token), beyond ? `(${size(bytes)})` : size(bytes), share(bytes, full)];
  });
  const texts = batch === 1 ? "" : `${grouped(batch)} texts of `;
  const caption = `All models at ${texts}${plural(context, "token")}; in brackets: beyond what they were published for`;
  return table({ caption, corner: "model", columns: ["layers", "a token", "cache", `of ${SAME}`], rows });
}
