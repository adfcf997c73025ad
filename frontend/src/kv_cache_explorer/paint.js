// @ts-check
// The pictures: a bar for every number of key/value heads, and the cache against the context.

import { chart } from "../shared/chart.js";
import { element, say } from "../shared/dom.js";
import { grouped } from "../shared/numbers.js";
import { pointing } from "../shared/pointing.js";
import { chartOf, limitPlace } from "./layout.js";
import { headsInWords, reading } from "./speech.js";
import { GIB, nearestStep, size } from "./state.js";

/** @typedef {import("./state.js").State} State */

const FINGER = 36; // pixels from a curve that a finger may miss it by

/**
 * @param {HTMLElement} place
 * @param {State} state
 */
export function paintBars(place, state) {
  const longest = Math.max(...state.bars.map(({ bytes }) => bytes));
  const rows = state.bars.map(({ heads, bytes }) => {
    const fill = element("i", { className: "mha-cache-fill" });
    fill.style.width = `${(100 * bytes) / longest}%`;
    const over = bytes > state.budget * GIB;
    const row = tableRow("cell", headsInWords(state, heads), fill, `${size(bytes)}${over ? " over budget" : ""}`);
    row.classList.toggle("mha-cache-chosen", heads === state.heads);
    row.classList.toggle("mha-cache-over", over);
    if (heads === state.heads) row.setAttribute("aria-current", "true");
    return row;
  });
  const heading = tableRow("columnheader", "key/value heads", "", "cache");
  heading.classList.add("mha-cache-heading");
  const label = `Cache of ${grouped(state.batch)} × ${grouped(state.context)} tokens`;
  place.replaceChildren(element("div", { role: "table", ariaLabel: label }, heading, ...rows), limitLine(state));
}

/**
 * A row of the table in which a bar stands between the heads and the bytes; a reader needs no bar.
 * @param {string} role
 * @param {string} heads
 * @param {Node | string} bar
 * @param {string} bytes
 */
function tableRow(role, heads, bar, bytes) {
  return element(
    "div",
    { className: "mha-cache-row", role: "row" },
    element("span", { role }, heads),
    element("span", { "aria-hidden": "true" }, bar),
    element("span", { role, className: "mha-cache-size" }, bytes),
  );
}

/**
 * The memory there is, as a line through the bars, or in words where all of them end before it.
 * @param {State} state
 */
function limitLine(state) {
  const at = limitPlace(state);
  const words = `memory ${state.budget} GiB${at === null ? " →" : ""}`;
  const line = element("div", { className: "mha-cache-limit" }, element("span", {}, words));
  line.style.left = `${at ?? 100}%`;
  line.classList.toggle("mha-cache-beyond", at === null);
  line.classList.toggle("mha-cache-far", at === null || at > 75);
  return element("div", { className: "mha-cache-line", "aria-hidden": "true" }, element("div", {}, line));
}

/**
 * The chart; a context that is pointed at is read in its caption, and `go` follows a click or a second tap there. Gives
 * what ends the pointing.
 * @param {HTMLElement} figure
 * @param {State} state
 * @param {(context: number) => void} go
 */
export function paintChart(figure, state, go) {
  const label = `The cache as texts grow; at ${reading(state, state.context)}`;
  const picture = chart({ ...chartOf(state, Math.max(figure.clientWidth, 240)), label });
  const caption = element("figcaption", {}, reading(state, state.context));
  figure.replaceChildren(caption, picture.node);
  const contexts = state.over.map(({ context }) => context);
  const levels = contexts.map(Math.log);
  const contextAt = (/** @type {import("../shared/pointing.js").Spot} */ spot) =>
    contexts[nearestStep(levels, Math.log(Math.max(picture.valueAt(spot), 1)))];
  return pointing(picture.node, {
    read(spot) {
      if (spot.pointerType !== "mouse" && picture.far(spot) > FINGER) return null; // there a drag scrolls the page
      const context = contextAt(spot);
      say(caption, reading(state, context));
      picture.read(context);
      return context;
    },
    pin: (spot) => go(contextAt(spot)),
    clear() {
      say(caption, reading(state, state.context));
      picture.read(null);
    },
  });
}
