// @ts-check
// Fast memory: the copies that are in it, and for each query of the tile its scores and what it keeps.

import { element, named } from "../shared/dom.js";
import { clipped } from "../shared/words.js";
import { partsHeld, rounded, short } from "./speech.js";
import { shade } from "./tints.js";

/** @typedef {import("./state.js").State} State */

const part = named("mha-tiles");
const STRONGEST = 50; // percent of colour: words on it stay legible
const KEPT = ["largest m", "shrink", "total l"];
const cut = (/** @type {string} */ word, most = 8) => clipped(word, most, (text) => [...text].length);

export function fastMemory() {
  const parts = part("parts", "ul");
  const table = element("table", { ariaLabel: "fast memory" });
  const frame = part("frame", "div", { tabIndex: 0, role: "group", ariaLabel: "numbers in fast memory" }, table);
  const node = part("fast", "div", {}, part("title", "p", {}, "Fast memory"), parts, frame);
  let [tight, drawnWidth] = [false, 0];
  /** Marks the query that is read. @param {State} now */
  const mark = ({ row }) => {
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll("tr[data-row]"))) {
      line.classList.toggle("mha-tiles-read", line.dataset.row === String(row));
    }
  };
  /** @param {State} now */
  const fill = (now) => {
    table.replaceChildren(...rows(now, tight));
    table.classList.toggle("mha-tiles-tight", tight);
    mark(now);
  };
  /** @param {State} now @param {number} room the frame's width, asked before anything is written */
  const show = (now, room) => {
    const held = partsHeld(now);
    parts.replaceChildren(...held.map(({ hue, words }) => element("li", { "data-hue": hue }, words)));
    if (room !== drawnWidth) tight = false;
    fill(now);
    if (!tight && frame.scrollWidth > room) {
      tight = true; // and stays so at this width: the table would jump from step to step
      fill(now);
    }
    drawnWidth = room;
  };
  return { node, table, room: () => frame.clientWidth, show, mark };
}

/**
 * @param {State} now
 * @param {boolean} tight scores in one decimal, sums as tints: the read-out has them in full
 */
function rows(now, tight) {
  const { present, words, V } = now;
  if (!present) return [];
  const { start, stop, output } = present;
  const heading = (/** @type {string} */ text, more = {}) =>
    element("th", { scope: "col", title: text, ...more }, text);
  const named = (/** @type {string} */ name) => (tight ? name.replace(/^(largest|total|summed|output) /, "") : name);
  const keys = words.slice(start, stop).map((word) => heading(cut(word, tight ? 4 : 6), { title: word }));
  const kept = output ? KEPT.filter((name) => name !== "shrink") : KEPT;
  const last = heading(named(output ? "output o / l" : "summed o"), { colSpan: tight ? 1 : V });
  const head = element("tr", {}, heading("query"), ...keys, ...kept.map((name) => heading(named(name))), last);
  const body = present.running.map((running, i) => rowOf(now, running, i, tight));
  return [element("thead", {}, head), element("tbody", {}, ...body)];
}

/** A query's scores or weights, what it keeps, and its sum or output. */
function rowOf(
  /** @type {State} */ { present, words, cells, reach },
  /** @type {import("./maths.js").Running} */ { largest, shrink, total, summed: sum },
  /** @type {number} */ i,
  /** @type {boolean} */ tight,
) {
  const { first, scores, weights, before, output } = /** @type {NonNullable<State["present"]>} */ (present);
  const cellOf = (/** @type {number} */ number, /** @type {number} */ most, digits = 2) => {
    const cell = element("td", { className: "mha-data" }, rounded(number, digits));
    cell.style.backgroundColor = shade(number, most, STRONGEST);
    return cell;
  };
  const asked = cells === "scores" ? scores[i] : weights[i];
  const tile = asked.map((number, at) =>
    scores[i][at] === -Infinity
      ? element("td", { className: "mha-tiles-hidden" }, element("span", {}, "masked"))
      : cellOf(number, cells === "scores" ? reach : 1, tight ? 1 : 2),
  );
  const factor = before[i].largest === -Infinity ? "–" : `×${tight ? "" : " "}${short(shrink)}`;
  const kept = [short(largest), ...(output ? [] : [factor]), short(total)].map((text) => element("td", {}, text));
  const sums = output ? output[i] : sum;
  const most = Math.max(1e-9, ...sums.map(Math.abs));
  const summed = tight ? [strip(sums, most)] : sums.map((number) => cellOf(number, most));
  const name = element("th", { scope: "row", title: words[first + i] }, cut(words[first + i], tight ? 6 : 8));
  return element("tr", { "data-row": first + i }, name, ...tile, ...kept, ...summed);
}

/** Numbers as a strip of tints. @param {number[]} numbers @param {number} most */
function strip(numbers, most) {
  const end = (/** @type {number} */ i) => `${(100 * i) / numbers.length}%`;
  const title = numbers.map(short).join("  ");
  const tints = part("strip", "span", { className: "mha-tiles-strip mha-data", role: "img", title, ariaLabel: title });
  tints.style.background = `linear-gradient(to right, ${numbers.map((number, i) => `${shade(number, most)} ${end(i)} ${end(i + 1)}`)})`;
  return element("td", {}, tints);
}
