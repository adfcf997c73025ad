// @ts-check
// The table itself: heads that sort, and a row for every model, made once and put in another order when that changes.

import { drawn, element, named, say } from "../shared/dom.js";
import { stripOf } from "./layout.js";
import { numberInWords, UNKNOWN } from "./speech.js";
import { has, NUMBERS } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Row} Row */
/** @typedef {import("./traits.js").Traits} Traits */

const part = named("mha-models");
const STRIP = { width: 96, height: 14 };

/**
 * @param {Pick<Traits, "_models" | "_columns" | "_features">} of
 * @param {{ sort: (column: string) => void, open: (name: string) => void, point: (name: string) => void, detail: string }} acts
 */
export function modelRows({ _models, _columns, _features }, { sort, open, point, detail }) {
  const heads = columnHeads(_columns, _features, sort);
  const rows = new Map(_models.map((row) => [row.name, tableRow(row, _features, detail)]));
  const [caption, body] = [element("caption"), element("tbody")];
  const node = element("table", {}, caption, heads.node, body);
  walking(body, () => [...body.querySelectorAll("button")], ["ArrowUp", "ArrowDown"]);
  gestures(body, open, point);

  let shown = "";
  /** @param {State} state @param {string} words */
  const show = (state, words) => {
    say(caption, words);
    heads.show(state);
    const order = state.rows.map(({ name }) => name);
    if (order.join("\n") !== shown) {
      shown = order.join("\n");
      replaced(body, /** @type {HTMLElement[]} */ (order.map((name) => rows.get(name)?.node)));
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
    for (const row of visible) {
      const { node: line, button } = /** @type {ReturnType<typeof tableRow>} */ (rows.get(row.name));
      line.classList.toggle("mha-models-open", row === chosen);
      line.classList.toggle("mha-models-pointed", row === pointed);
      button.ariaExpanded = String(row === chosen);
      button.tabIndex = row === reached ? 0 : -1;
    }
  };
  /** Brings a row into the part of the table that is on show, and moves nothing else. @param {string} name */
  const reveal = (name) => {
    const line = rows.get(name)?.node;
    const view = node.parentElement;
    if (!line?.isConnected || !view) return;
    const [top, bottom] = [line.offsetTop - heads.node.offsetHeight, line.offsetTop + line.offsetHeight];
    if (top < view.scrollTop) view.scrollTop = top;
    else if (bottom > view.scrollTop + view.clientHeight) view.scrollTop = bottom - view.clientHeight;
  };
  return { node, show, mark, reveal };
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
    const cell = element("th", { scope: "col" }, button);
    cell.dataset.column = name;
    cell.classList.toggle("mha-models-feature", i >= columns.length);
    return { name, cell, button };
  });
  const node = element("thead", {}, element("tr", {}, ...heads.map(({ cell }) => cell)));
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
 * Other children, or the same in another order; what had the focus keeps it.
 * @param {HTMLElement} body
 * @param {HTMLElement[]} lines
 */
function replaced(body, lines) {
  const held = focused(body);
  body.replaceChildren(...lines);
  if (held instanceof HTMLElement && body.contains(held)) held.focus({ preventScroll: true });
}

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
  const button = element("button", { type: "button", tabIndex: -1, "aria-controls": detail }, row.name);
  const numbers = NUMBERS.map((column) => element("td", {}, numberInWords(row, column)));
  const node = element("tr", {}, element("th", { scope: "row" }, button), ...numbers, strip(row));
  for (const [name] of features) {
    const found = has(row, name);
    const cell = element("td", { title: row.has[name] ?? "" }, found === null ? UNKNOWN : found ? "yes" : "no");
    cell.dataset.has = found === null ? UNKNOWN : String(found);
    node.append(cell);
  }
  node.dataset.model = row.name;
  return { node, button };
}

/** The layers as bars, the first on the left; in words for who does not see them. @param {Row} row */
function strip(row) {
  if (row.pattern === null) return element("td", {}, UNKNOWN);
  const { width, height } = STRIP;
  const view = { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": row.kinds };
  const svg = drawn("svg", view);
  for (const { letter, shared, d } of stripOf(row.pattern, row.shared, width, height)) {
    const path = drawn("path", { d, "data-kind": letter });
    if (shared) path.classList.add("mha-models-shared");
    svg.append(path);
  }
  return part("strip", "td", { className: "mha-layers mha-models-strip" }, svg);
}
