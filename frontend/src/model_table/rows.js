// @ts-check
// The table itself: heads that sort, and a row for every model, made once and put in another order when that changes.

import { drawn, element, named, say } from "../shared/dom.js";
import { filling } from "./filling.js";
import { stripOf } from "./layout.js";
import { numberInWords, UNKNOWN } from "./speech.js";
import { has, NUMBERS } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Row} Row */
/** @typedef {import("./traits.js").Traits} Traits */

const part = named("mha-models");
const STRIP = { width: 96, height: 14 };
const CELL = { role: "cell" }; // said aloud: laid out as grids, rows and cells are no table to every browser

/**
 * @param {Pick<Traits, "_models" | "_columns" | "_features">} of
 * @param {{ sort: (column: string) => void, open: (name: string) => void, point: (name: string) => void, detail: string }} acts
 */
export function modelRows({ _models, _columns, _features }, { sort, open, point, detail }) {
  const heads = columnHeads(_columns, _features, sort);
  const rows = new Map(_models.map((row) => [row.name, tableRow(row, _features, detail)]));
  const [caption, body] = [element("caption"), element("tbody", { role: "rowgroup" })];
  const node = element("table", { role: "table" }, caption, heads.node, body);
  const lines = filling(body);
  body.addEventListener("keydown", lines.all);
  walking(body, () => [...body.querySelectorAll("button")], ["ArrowUp", "ArrowDown"]);
  gestures(body, open, point);

  let shown = "";
  /** @type {{ open?: string, pointed?: string, reached?: string }} marks that stand in the rows */
  let before = {};
  /** @param {State} state @param {string} words */
  const show = (state, words) => {
    say(caption, words);
    heads.show(state);
    const order = state.rows.map(({ name }) => name);
    if (order.join("\n") !== shown) {
      shown = order.join("\n");
      lines.fill(/** @type {HTMLElement[]} */ (order.map((name) => rows.get(name)?.node)));
    }
    mark(state);
  };
  /** Which row is open, pointed at, and reached by Tab. @param {State} state */
  const mark = ({ rows: visible, open: chosen, pointed }) => {
    const held = focused(body);
    const reached =
      visible.find(({ name }) => rows.get(name)?.button === held) ??
      visible.find((row) => row === chosen) ??
      visible[0];
    const now = { open: chosen?.name, pointed: pointed?.name, reached: reached?.name };
    for (const name of new Set(Object.values({ ...now, ...before }).concat(Object.values(now)))) {
      const line = rows.get(name ?? "");
      if (!line) continue;
      line.node.classList.toggle("mha-models-open", name === now.open);
      line.node.classList.toggle("mha-models-pointed", name === now.pointed);
      line.button.ariaExpanded = String(name === now.open);
      line.button.tabIndex = name === now.reached ? 0 : -1;
    }
    before = now;
  };
  /** Brings a row into the part of the table that is on show, and moves nothing else. @param {string} name */
  const reveal = (name) => {
    const line = rows.get(name)?.node;
    const view = node.parentElement;
    lines.all();
    if (!line?.isConnected || !view) return;
    const [top, bottom] = [line.offsetTop - heads.node.offsetHeight, line.offsetTop + line.offsetHeight];
    if (top < view.scrollTop) view.scrollTop = top;
    else if (bottom > view.scrollTop + view.clientHeight) view.scrollTop = bottom - view.clientHeight;
  };
  return { node, show, mark, reveal, reach: lines.reach };
}

/**
 * A button for each column that sorts by it.
 * @param {Traits["_columns"]} columns
 * @param {Traits["_features"]} features
 * @param {(column: string) => void} sort
 */
function columnHeads(columns, features, sort) {
  const heads = [...columns, ...features].map(([name, head, what], i) => {
    const button = element("button", { type: "button", title: what, onclick: () => sort(name) }, head);
    button.tabIndex = i ? -1 : 0;
    const cell = element("th", { scope: "col", role: "columnheader" }, button);
    cell.dataset.column = name;
    cell.classList.toggle("mha-models-feature", i >= columns.length);
    return { name, cell, button };
  });
  const line = element("tr", { role: "row" }, ...heads.map(({ cell }) => cell));
  const node = element("thead", { role: "rowgroup" }, line);
  walking(node, () => heads.map(({ button }) => button), ["ArrowLeft", "ArrowRight"]);
  /** @param {State} state */
  const show = ({ sort: by, descending }) => {
    for (const { name, cell } of heads) {
      cell.ariaSort = name !== by ? "none" : descending ? "descending" : "ascending";
    }
  };
  return { node, show };
}

/**
 * A row is pointed at by a mouse over it and by the keyboard in it, and opened by a click anywhere in it.
 * @param {HTMLElement} body
 * @param {(name: string) => void} open
 * @param {(name: string) => void} point
 */
function gestures(body, open, point) {
  const nameAt = (/** @type {EventTarget | null} */ target) =>
    /** @type {Element} */ (target).closest("tr")?.dataset.model ?? "";
  body.addEventListener("click", ({ target }) => open(nameAt(target)));
  body.addEventListener("pointerover", ({ target, pointerType }) => pointerType === "mouse" && point(nameAt(target)));
  body.addEventListener("pointerleave", () => point(""));
  body.addEventListener("focusin", ({ target }) => point(nameAt(target)));
  body.addEventListener("focusout", () => point(""));
}

/** @param {Node} node */
const focused = (node) => /** @type {Document | ShadowRoot} */ (node.getRootNode()).activeElement;

/**
 * Arrow keys, Home and End walk through buttons of which one at a time is reached by Tab.
 * @param {HTMLElement} place
 * @param {() => HTMLButtonElement[]} buttons
 * @param {[string, string]} keys back and forth
 */
function walking(place, buttons, [back, forth]) {
  place.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const next = { [back]: at - 1, [forth]: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault(); // at an end the notebook would scroll
    if (!all[next]) return;
    for (const [i, button] of all.entries()) button.tabIndex = i === next ? 0 : -1;
    all[next].focus();
  });
}

/**
 * @param {Row} row
 * @param {Traits["_features"]} features
 * @param {string} detail the id of what tells more of it
 */
function tableRow(row, features, detail) {
  const more = { type: "button", tabIndex: -1, "aria-controls": detail, ariaExpanded: "false" };
  const button = element("button", more, row.name);
  const name = element("th", { scope: "row", role: "rowheader" }, button);
  const numbers = NUMBERS.map((column) => element("td", CELL, numberInWords(row, column)));
  const node = element("tr", { role: "row" }, name, ...numbers, strip(row));
  for (const [name] of features) {
    const found = has(row, name);
    const cell = element(
      "td",
      { ...CELL, title: row.has[name] ?? "" },
      found === null ? UNKNOWN : found ? "yes" : "no",
    );
    cell.dataset.has = found === null ? UNKNOWN : String(found);
    node.append(cell);
  }
  node.dataset.model = row.name;
  return { node, button };
}

/** The layers as bars, the first on the left; in words for who does not see them. @param {Row} row */
function strip(row) {
  if (row.pattern === null) return part("strip", "td", CELL, UNKNOWN);
  const { width, height } = STRIP;
  const view = { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": row.kinds };
  const svg = drawn("svg", view);
  for (const { letter, shared, d } of stripOf(row.pattern, row.shared, width, height)) {
    const path = drawn("path", { d, "data-kind": letter });
    if (shared) path.classList.add("mha-models-shared");
    svg.append(path);
  }
  return part("strip", "td", { ...CELL, className: "mha-layers mha-models-strip" }, svg);
}
