// @ts-check
// The elements: what one can ask, the table's place, the open row, the plot and what stands on its axes.

import { element, field, named, rootOf, say, uniqueName } from "../shared/dom.js";
import { walkable } from "../shared/keys.js";
import { layerStrip, legendOf } from "../shared/layer_strip.js";
import { modelRows } from "./rows.js";
import {
  ASK,
  CLEAR,
  cacheInWords,
  captionInWords,
  chipInWords,
  HINT,
  headOf,
  KEY,
  MARK_KEY,
  NONE,
  openInWords,
  sizesInWords,
  specialInWords,
  statusInWords,
} from "./speech.js";
import { askedNext, NUMBERS, sortedNext } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Traits} Traits */
/** @typedef {(traits: Partial<Traits>) => void} Change */

const part = named("mha-models");

/**
 * @param {() => Traits} present
 * @param {Change} change
 * @param {SVGSVGElement} svg
 */
export function controls(present, change, svg) {
  const fixed = present();
  const detail = detailPanel(uniqueName());
  const point = (/** @type {string} */ pointed) => {
    if (pointed !== present().pointed) change({ pointed });
  };
  const open = (/** @type {string} */ name) => name && change({ model: name === present().model ? "" : name });
  const rows = modelRows(fixed, {
    sort: (column) => change(sortedNext(present(), column)),
    open,
    point,
    detail: detail.node.id,
  });
  const asks = askChips(fixed._features, present, change);
  const none = part("none", "p", {}, NONE);
  const table = part("table", "div", { role: "group", tabIndex: 0, ariaLabel: "the models" }, rows.node, none);
  table.onscroll = () => rows.reach(table);
  const axes = axisMenus(fixed._columns, change);
  const caption = element("figcaption");
  const figure = part("plot", "figure", {}, axes.node, svg, caption);
  const root = rootOf("mha-models", asks.node, table, part("below", "div", {}, detail.node, figure));
  root.addEventListener("keydown", ({ key }) => key === "Escape" && change({ model: "", pointed: "" }));

  /** All but what follows the pointer. @param {State} now */
  const show = (now) => {
    asks.show(now);
    rows.show(now, statusInWords(now));
    none.hidden = now.rows.length > 0;
    axes.show(now);
    detail.show(now);
  };
  /** @param {State} now @param {number} missing */
  const mark = (now, missing) => {
    rows.mark(now);
    say(caption, captionInWords(now, missing));
  };
  return { root, figure, show, mark, point, open, reveal: rows.reveal };
}

/**
 * A button for every feature: a click asks for it, another for its absence, a third for nothing.
 * @param {Traits["_features"]} features
 * @param {() => Traits} present
 * @param {Change} change
 */
function askChips(features, present, change) {
  const chips = features.map(([name, head, what], i) => {
    const act = () => change({ ask: askedNext(present().ask, name) });
    const button = element("button", { type: "button", title: what, onclick: act }, head);
    button.tabIndex = i ? -1 : 0;
    return { name, head, button };
  });
  const group = { role: "group", ariaLabel: ASK };
  const row = part("asks", "div", group, ...chips.map(({ button }) => button));
  walkable(row);
  const clear = element("button", { type: "button", onclick: () => change({ ask: {} }) }, CLEAR);
  const status = part("status", "span", { role: "status" });
  const line = part("line", "div", {}, status, clear);
  const node = part("asking", "div", {}, part("ask", "span", { "aria-hidden": "true" }, `${ASK} …`), row, line);
  /** @param {State} now */
  const show = (now) => {
    for (const { name, head, button } of chips) {
      const asked = now.ask[name];
      say(button, chipInWords(head, asked, now.counts[name]));
      button.ariaPressed = String(asked !== undefined);
      button.classList.toggle("mha-models-without", asked === false);
    }
    say(status, statusInWords(now));
    clear.ariaDisabled = String(!Object.keys(now.ask).length); // and not disabled: that would lose the focus
  };
  return { node, show };
}

/**
 * What stands on the axes of the plot.
 * @param {Traits["_columns"]} columns
 * @param {Change} change
 */
function axisMenus(columns, change) {
  const menus = /** @type {const} */ (["up", "across"]).map((axis) => {
    const options = NUMBERS.map((name) => element("option", { value: name }, headOf(columns, name)));
    const menu = element("select", { ariaLabel: axis === "up" ? "upwards" : "across" }, ...options);
    menu.onchange = () => change({ [axis]: menu.value });
    return { axis, menu };
  });
  const [up, across] = menus.map(({ menu }) => menu);
  const node = part("axis", "div", {}, field("dots:", up), field("against", across));
  /** @param {State} now */
  const show = (now) => {
    for (const { axis, menu } of menus) menu.value = now[axis];
  };
  return { node, show };
}

/** The open row, in words. @param {string} id */
function detailPanel(id) {
  const heading = element("b");
  const strip = layerStrip();
  const [sizes, cache, note, source] = [element("p"), element("p"), part("quiet", "p"), part("quiet", "p")];
  const special = element("ul");
  const legend = element("small", { className: "mha-layers-legend" }, ...legendOf());
  const key = element("div", { className: "mha-layers" }, element("p", {}, KEY), legend, element("p", {}, MARK_KEY));
  const hint = part("quiet", "div", {}, element("p", {}, HINT), key);
  const all = part("about", "div", {}, heading, sizes, strip.node, special, cache, note, source);
  const node = part("detail", "div", { id, role: "group", ariaLabel: "the open row" }, hint, all);
  /** @param {State} now */
  const show = ({ open, features }) => {
    hint.hidden = open !== null;
    all.hidden = open === null;
    if (!open) return;
    say(heading, `${open.name}${open.year === null ? "" : `, ${open.year}`}`);
    say(sizes, sizesInWords(open));
    say(cache, cacheInWords(open));
    const lines = specialInWords(open);
    if (lines.join() !== [...special.children].map((line) => line.textContent).join()) {
      special.replaceChildren(...lines.map((line) => element("li", {}, String(line))));
    }
    const { name, pattern, shared, kinds } = open;
    strip.show(pattern === null ? null : { name, pattern, shared, layers: kinds });
    say(note, [open.note, openInWords(open, features), open.left].filter(Boolean).join(" "));
    say(source, `Source: ${open.source}. How sure: ${open.certainty}.`);
  };
  return { node, show };
}
