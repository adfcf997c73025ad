// @ts-check
// The predictions: names, bars and numbers, now beside those with all heads on.

import { element, named } from "../shared/dom.js";
import { changeOf, short, visible } from "./speech.js";

/** @typedef {import("./state.js").Pair} Pair */

const part = named("mha-switch");

/**
 * Rows of the table, an example's name before its own.
 * @param {Pair[]} pairs
 * @param {number[]} ends of the axis
 */
export function predictionRows(pairs, ends) {
  let example = "";
  return pairs.flatMap((pair) => {
    const row = predictionRow(pair, ends);
    if (pair.example === example) return [row];
    example = pair.example;
    const heading = element("th", { colSpan: 5, scope: "rowgroup", dir: "auto", title: example }, visible(example));
    return [element("tr", {}, heading), row];
  });
}

/** @param {Pair} pair @param {number[]} ends */
function predictionRow(pair, ends) {
  const { name, now, before } = pair;
  const bars = element("span", { "aria-hidden": "true" }, bar("now", now, ends), bar("before", before, ends));
  const by = changeOf(pair);
  return element(
    "tr",
    {},
    element("th", { scope: "row", dir: "auto", title: name }, visible(name)),
    part("bars", "td", {}, bars),
    part("number", "td", {}, short(now)),
    element("td", {}, short(before)),
    element("td", { className: by === "0.00" ? "mha-switch-same" : "" }, by),
  );
}

/**
 * @param {string} kind
 * @param {number | undefined} number
 * @param {number[]} ends
 */
function bar(kind, number, [low, high]) {
  const [from, to] = [0, number ?? 0].sort((a, b) => a - b).map((x) => (100 * (x - low)) / (high - low));
  return element("i", { className: `mha-switch-${kind} mha-data`, style: `margin-left:${from}%;width:${to - from}%` });
}
