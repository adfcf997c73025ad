// @ts-check
// Everything that is said: a cell, what is asked and how many answer, the open row, the dot that one points at.

import { grouped, plural } from "../shared/numbers.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Numbers} Numbers */
/** @typedef {import("./traits.js").Row} Row */

export const UNKNOWN = "?";
export const ASK = "which have";
export const CLEAR = "clear";
export const NONE = "No model answers this.";
export const HINT = "Open a row: it tells what the model is, where its numbers stand, and how sure they are.";
export const KEY = "A bar is a layer, and tells what it looks at:";
export const MARK_KEY = "A mark: the model has it. ?: its source does not say.";

/**
 * A number of a model as its cell shows it.
 * @param {Row} row
 * @param {Numbers} column
 */
export function numberInWords(row, column) {
  const value = row[column];
  if (value === null) return column === "cached" && !row.decoder ? "none" : UNKNOWN;
  if (column === "year") return String(value);
  return column === "ratio" ? value.toFixed(2) : grouped(value);
}

/**
 * "a gate", "a gate and sinks", "a gate, sinks and a window".
 * @param {string[]} things
 */
function listed(things) {
  const [last, ...others] = [...things].reverse();
  return others.length ? `${others.reverse().join(", ")} and ${last}` : last;
}

/**
 * How many models answer what is asked.
 * @param {Pick<State, "all" | "rows" | "ask" | "features" | "unsaid">} state
 */
export function statusInWords({ all, rows, ask, features, unsaid }) {
  const [wanted, unwanted] = [true, false].map((way) =>
    features.filter(([name]) => ask[name] === way).map(([, , what]) => what),
  );
  if (!wanted.length && !unwanted.length) return plural(all.length, "model");
  const parts = [];
  if (wanted.length) parts.push(`with ${listed(wanted)}`);
  if (unwanted.length) parts.push(`without ${listed(unwanted)}`);
  const more = unsaid ? `; the source of ${unsaid} more does not say` : "";
  return `${grouped(rows.length)} of ${grouped(all.length)}: ${parts.join(", ")}${more}`;
}

/**
 * A chip: what it asks now, and how many would answer.
 * @param {string} head
 * @param {boolean | undefined} asked
 * @param {[number, number]} counts with it, without it
 */
export const chipInWords = (head, asked, counts) =>
  asked === false ? `without ${head} ${counts[1]}` : `${head} ${counts[0]}`;

/**
 * The layers and sizes of a model.
 * @param {Row} row
 */
export function sizesInWords(row) {
  const { layers, kinds, d_model, num_heads, num_kv_heads, d_head, ratio } = row;
  const shared = num_kv_heads < num_heads ? `, which share ${num_kv_heads} of keys and values` : "";
  const width = d_head === null ? "heads (their width its source does not say)" : `heads of ${grouped(d_head)}`;
  const wide = ratio === null ? "" : `: H·d_head = ${ratio.toFixed(2)} × d_model`;
  const all = layers === null ? "How many layers, its source does not say" : `${layers} layers: ${kinds}`;
  return `${all}. d_model ${grouped(d_model)}, ${num_heads} ${width}${shared}${wide}.`;
}

/**
 * What a token adds to its cache.
 * @param {Row} row
 */
export function cacheInWords({ cached, later, decoder }) {
  if (!decoder) return "It reads a text as a whole and keeps no cache.";
  if (cached === null) return "How much a token adds to its cache, its source does not say.";
  const full = later === null || later === cached ? "" : `, and ${grouped(later)} once every window is full`;
  return `A token adds ${plural(cached, "number")} to the cache of all layers${full}.`;
}

/**
 * What is special about it, a line each.
 * @param {Row} row
 */
export const specialInWords = (row) => Object.values(row.has).filter((words) => words);

/**
 * What the source leaves open.
 * @param {Row} row
 * @param {State["features"]} features
 */
export function openInWords(row, features) {
  const open = features.filter(([name]) => row.has[name] === null).map(([, head]) => head);
  return open.length ? `Its source does not say: ${open.join(", ")}.` : "";
}

/**
 * A head as a sentence carries it.
 * @param {State["columns"]} columns
 * @param {string} column
 */
export const headOf = (columns, column) =>
  (columns.find(([name]) => name === column)?.[1] ?? column).replace("\n", " ");

/**
 * Below the plot: the model that one points at, or the open one.
 * @param {State} state
 * @param {number} missing
 */
export function captionInWords({ pointed, open, columns, across, up }, missing) {
  const row = pointed ?? open;
  const both = [across, up];
  if (row) {
    return `${row.name}: ${both.map((column) => `${headOf(columns, column)} ${numberInWords(row, column)}`).join(", ")}`;
  }
  return missing
    ? `${plural(missing, "model")} without a dot: one of the two numbers is not known`
    : "A dot is a model.";
}

/**
 * The plot for who does not see it.
 * @param {State} state
 */
export const plotLabel = ({ columns, across, up, rows, all }) =>
  `${headOf(columns, up)} against ${headOf(columns, across)}: ${plural(all.length, "model")}, ${rows.length} of them lit; ` +
  "the table has their numbers";
