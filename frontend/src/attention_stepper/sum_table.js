// @ts-check
// Stage 6: every head's output through its own rows of W^O, and their sum below.

import { element } from "../shared/dom.js";
import { quoted } from "../shared/words.js";
import { bracket, largest, short } from "./figures.js";
import { added, MOST_NUMBERS, part, swatch, vector } from "./paint.js";
import { favourite } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Given} Given */

const MOST_ROWS = 8; // rows of W^O that are written out under their head

/**
 * @param {Given} fixed
 * @param {State} now
 * @param {import("./stage_table.js").Most} most
 */
export function sumTable(fixed, now, most) {
  const reach = largest(now.shares.flat());
  const names = ["looks most at", "brings"].map((name) => element("th", { scope: "col" }, name));
  const rows = now.heads.flatMap((_, h) => {
    const row = headRow(fixed, now, h, { reach, most });
    return h === now.head ? [row, ...rowsOfWO(fixed, now)] : [row];
  });
  const total = element("th", { scope: "row", colSpan: 3 }, "output = the sum");
  return [
    element("thead", {}, element("tr", {}, element("td"), ...names, ...titles(fixed, reach))),
    element("tbody", {}, ...rows),
    element("tfoot", {}, element("tr", {}, total, ...added(now.total, reach))),
  ];
}

/** @param {Given} fixed @param {number} reach */
function titles({ features, D }, reach) {
  if (D <= MOST_NUMBERS) {
    return features.map((name, d) => element("th", { scope: "col", title: name, "data-feature": d }, name));
  }
  const scale = element("small", {}, ...[-reach, reach].map(swatch));
  return [element("th", { scope: "col" }, `adds to ${D} features`, scale)];
}

/**
 * @param {Given} fixed
 * @param {State} now
 * @param {number} h
 * @param {{ reach: number, most: import("./stage_table.js").Most }} look
 */
function headRow({ words }, now, h, { reach, most }) {
  const { output, weights } = now.heads[h];
  const best = favourite(now.heads[h]);
  const looks = weights[best] > 0 ? `${quoted(words[best])} ${weights[best].toFixed(2)}` : "nothing";
  const brings = vector(output, largest(output), most("terms"));
  return element(
    "tr",
    { className: h === now.head ? "mha-step-hovered" : "", "data-head": h },
    element("th", { scope: "row" }, `head ${h}`),
    part("looks", "td", { title: looks }, looks),
    element("td", { className: "mha-step-vector mha-step-output" }, brings),
    ...added(now.shares[h], reach),
  );
}

/**
 * The present head's rows of W^O with what each is multiplied by, where there is room for them.
 * @param {Given} fixed
 * @param {State} now
 */
function rowsOfWO({ D, valueWidth }, now) {
  if (D > MOST_NUMBERS || valueWidth > MOST_ROWS) return [];
  return now.output.map((number, i) => {
    const at = now.head * valueWidth + i;
    const name = `${i ? "+" : "="} ${bracket(short(number))} × row ${at} of W^O`;
    const cells = now.wORow(at).map((w, d) => element("td", { "data-feature": d }, short(w)));
    return part("rows", "tr", {}, element("td"), element("td", { colSpan: 2 }, name), ...cells);
  });
}
