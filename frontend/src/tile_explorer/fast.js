// @ts-check
// Fast memory: the copies that are in it, and for each query of the tile its scores and what it keeps.

import { element, named } from "../shared/dom.js";
import { clipped } from "../shared/words.js";
import { partsHeld, short } from "./speech.js";
import { shade } from "./tints.js";

/** @typedef {import("./state.js").State} State */

const part = named("mha-tiles");
const STRONGEST = 50; // percent of colour: words on it stay legible
const KEPT = ["largest m", "shrink", "total l"];
const cut = (/** @type {string} */ word) => clipped(word, 8, (text) => [...text].length);

export function fastMemory() {
  const parts = part("parts", "ul");
  const table = element("table", { ariaLabel: "fast memory" });
  const frame = part("frame", "div", { tabIndex: 0, role: "group", ariaLabel: "numbers in fast memory" }, table);
  const node = part("fast", "div", {}, part("title", "p", {}, "Fast memory"), parts, frame);
  /** @param {State} now */
  const show = (now) => {
    const held = partsHeld(now);
    parts.replaceChildren(...held.map(({ hue, words }) => element("li", { "data-hue": hue }, words)));
    table.replaceChildren(...(now.present ? rows(now) : []));
  };
  /** Marks the query that is read. @param {State} now */
  const mark = ({ row }) => {
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll("tr[data-row]"))) {
      line.classList.toggle("mha-tiles-read", line.dataset.row === String(row));
    }
  };
  return { node, table, show, mark };
}

/** @param {State} now */
function rows(now) {
  const { present, words, V } = now;
  if (!present) return [];
  const { first, start, stop, output } = present;
  const heading = (/** @type {string} */ text, more = {}) =>
    element("th", { scope: "col", title: text, ...more }, text);
  const keys = words.slice(start, stop).map((word) => heading(cut(word), { title: word, className: "mha-tiles-key" }));
  const kept = output ? ["largest m", "total l"] : KEPT;
  const last = heading(output ? "output o / l" : "summed o", { colSpan: V, className: "mha-tiles-output" });
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "query"),
    ...keys,
    ...kept.map((k) => heading(k)),
    last,
  );
  const body = present.running.map((running, i) => rowOf(now, running, i));
  return [element("thead", {}, head), element("tbody", { "data-first": String(first) }, ...body)];
}

/** A query's scores or weights, what it keeps, and its sum or output. */
function rowOf(
  /** @type {State} */ { present, words, cells, reach },
  /** @type {import("./maths.js").Running} */ { largest, shrink, total, summed },
  /** @type {number} */ i,
) {
  const { first, scores, weights, before, output } = /** @type {NonNullable<State["present"]>} */ (present);
  const cellOf = (/** @type {number} */ number, /** @type {number} */ most, classes = "") => {
    const cell = element("td", { className: `${classes} mha-data` }, short(number));
    cell.style.backgroundColor = shade(number, most, STRONGEST);
    return cell;
  };
  const asked = cells === "scores" ? scores[i] : weights[i];
  const tile = asked.map((number, at) =>
    scores[i][at] === -Infinity
      ? element("td", { className: "mha-tiles-hidden" }, element("span", {}, "masked"))
      : cellOf(number, cells === "scores" ? reach : 1),
  );
  const factor = before[i].largest === -Infinity ? "–" : `× ${short(shrink)}`;
  const kept = [short(largest), ...(output ? [] : [factor]), short(total)].map((text) => element("td", {}, text));
  const sums = output ? output[i] : summed;
  const most = Math.max(1e-9, ...sums.map(Math.abs));
  const name = element("th", { scope: "row", title: words[first + i] }, cut(words[first + i]));
  return element("tr", { "data-row": first + i }, name, ...tile, ...kept, ...sums.map((sum) => cellOf(sum, most)));
}
