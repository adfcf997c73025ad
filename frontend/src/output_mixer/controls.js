// @ts-check
// The elements: the word, the switches, and the table of what each head adds.

import { chooser } from "../shared/chooser.js";
import { element, named, rootOf, say } from "../shared/dom.js";
import { stepped } from "../shared/keys.js";
import { pointing } from "../shared/pointing.js";
import { fill, MOST_NUMBERS } from "./paint.js";
import { explain, NUMBERS, short, status, sumName } from "./speech.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Given} Given */

const part = named("mha-mix");

/**
 * @typedef {object} Acts
 * @property {(position: number) => void} choose a token
 * @property {(head: number) => void} toggle
 * @property {() => void} all
 * @property {() => void} none
 * @property {() => void} grow heads are added one by one, or that ends
 * @property {(feature: number) => void} point at a feature; -1 is none
 */

const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
  element("button", { type: "button", onclick }, text);

/**
 * @param {Given} fixed
 * @param {Acts} acts
 */
export function controls(fixed, acts) {
  const pair = (/** @type {(Node | string)[]} */ ...parts) => part("pair", "span", {}, ...parts);
  const words = chooser(fixed.words, "the word whose output is shown", acts.choose);
  const [all, none, grow] = [button("all", acts.all), button("none", acts.none), button("", acts.grow)];
  const state = part("status", "span", { ariaLive: "polite" });
  const explanation = part("explanation", "p", { ariaLive: "polite" });
  const table = tableOf(fixed, acts);
  const root = rootOf(
    "mha-mix",
    part("line", "div", {}, pair("Output at", words.node)),
    part("line", "div", {}, pair("Heads", all, none, grow), state),
    explanation,
    table.node,
  );
  root.style.setProperty("--mha-features", String(fixed.D));

  /**
   * @param {State} now
   * @param {boolean} growing
   */
  const show = (now, growing) => {
    words.show(now.position);
    table.show(now);
    grow.textContent = growing ? "stop" : "add one by one";
    all.ariaDisabled = String(now.active.length === now.H); // and not disabled: that would lose the focus
    none.ariaDisabled = String(now.active.length === 0);
    say(state, status(now));
    say(explanation, explain(now));
  };
  return { root, show, dispose: table.dispose };
}

/**
 * A row for each head with its switch and numbers, below them the sum of those that are on, and of all.
 * @param {Given} fixed
 * @param {Acts} acts
 */
function tableOf({ features, H, D }, { toggle, point }) {
  const rows = Array.from({ length: H }, (_, h) => headRow(h, D, () => toggle(h)));
  const [sum, full] = [cellsOf(D, "mha-mix-sum"), cellsOf(D, "mha-mix-full")];
  const titles = features.map((name) => element("th", { scope: "col", title: name }, element("span", {}, name)));
  const name = part("name", "th", { scope: "row", colSpan: 2 });
  const fullName = element("th", { scope: "row", colSpan: 2, className: "mha-mix-name mha-mix-full" }, "all heads");
  const table = element(
    "table",
    { className: D > MOST_NUMBERS ? "mha-mix-tints" : "" },
    element("thead", {}, element("tr", {}, element("td"), element("th", { scope: "col" }, "brings"), ...titles)),
    element("tbody", {}, ...rows.map(({ node }) => node)),
    element("tfoot", {}, element("tr", {}, name, ...sum), element("tr", {}, fullName, ...full)),
  );
  const node = part("frame", "div", { ariaLabel: NUMBERS, tabIndex: 0, role: "group" }, table);
  const columns = [titles, ...rows.map(({ cells }) => cells), sum, full];
  let pointed = -1;

  /** @param {State} now */
  const show = (now) => {
    for (const [h, row] of rows.entries()) row.show(now, h, features);
    fill(sum, now.sum, { reach: now.reach, features });
    fill(full, now.full, { reach: now.reach, features });
    say(name, sumName(now));
    pointed = now.feature;
    for (const cells of columns) {
      for (const [d, cell] of cells.entries()) cell.classList.toggle("mha-mix-pointed", d === pointed);
    }
  };
  node.addEventListener("keydown", (event) => {
    const next = event.key === "Escape" ? -1 : stepped(event, pointed, D);
    if (event.target !== node || next === null) return;
    event.preventDefault();
    point(next);
  });
  return { node, show, dispose: pointingAt(table, columns, point) };
}

/**
 * Mouse and finger read a feature. Nothing is pinned: a finger's reading stays by itself.
 * @param {HTMLElement} table
 * @param {Element[][]} columns
 * @param {(feature: number) => void} point
 */
function pointingAt(table, columns, point) {
  const read = (/** @type {import("../shared/pointing.js").Spot} */ { target }) => {
    const cell = target?.closest("td, th");
    const feature = cell ? Math.max(...columns.map((cells) => cells.indexOf(cell))) : -1;
    if (feature >= 0) point(feature);
    return feature >= 0 ? feature : null;
  };
  return pointing(table, { read, pin: () => {}, clear: () => point(-1) });
}

/** @param {number} D @param {string} more */
const cellsOf = (D, more = "") =>
  Array.from({ length: D }, () => element("td", { className: `mha-mix-cell ${more}`.trim() }));

/**
 * @param {number} head
 * @param {number} D
 * @param {() => void} onclick
 */
function headRow(head, D, onclick) {
  const toggle = part("switch", "button", { type: "button", onclick }, element("i"), `head ${head}`);
  const brings = part("brings", "td");
  const cells = cellsOf(D);
  const node = element("tr", {}, element("th", { scope: "row" }, toggle), brings, ...cells);
  /**
   * @param {State} now
   * @param {number} h
   * @param {string[]} features
   */
  const show = (now, h, features) => {
    const on = now.active.includes(h);
    toggle.ariaPressed = String(on);
    toggle.title = on ? "switch off" : "switch on";
    node.classList.toggle("mha-mix-off", !on);
    const numbers = now.brings[h];
    const shown = numbers.slice(0, 4).map((number) => element("b", {}, short(number)));
    brings.replaceChildren(element("span", {}, ...shown, ...(numbers.length > 4 ? ["…"] : [])));
    brings.title = numbers.map(short).join("  ");
    fill(cells, now.shares[h], { reach: now.reach, features, on });
  };
  return { node, cells, show };
}
