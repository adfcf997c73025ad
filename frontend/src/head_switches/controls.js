// @ts-check
// The elements: switches in a grid, buttons for many of them, the table of predictions.

import { element, named, rootOf, say } from "../shared/dom.js";
import { steppedInGrid } from "../shared/keys.js";
import { predictionRows } from "./paint.js";
import { FEW, headline, legend, nameOf, short, switchInWords } from "./speech.js";
import { axis, keyOf, movedAlone, switched } from "./state.js";

/** @typedef {import("./state.js").Given} Given */
/** @typedef {import("./state.js").Pair} Pair */
/** @typedef {import("./traits.js").Head} Head */

const part = named("mha-switch");

/**
 * @param {Given} fixed
 * @param {{ off: () => Head[], set: (off: Head[]) => void }} acts
 */
export function controls(fixed, { off, set }) {
  const { H, heads, known } = fixed;
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    element("button", { type: "button", onclick }, text);
  const grid = gridOf(fixed, { toggle: (head) => set(switched(off(), head)), pointed: () => nameButtons() });
  const onlyOn = button("", () => set(heads.filter((_, i) => i !== grid.at())));
  const onlyOff = button("", () => set([heads[grid.at()]]));
  const line = part("headline", "p", { ariaLive: "polite" });
  const note = part("note", "p", { role: "status" });
  const table = predictions();
  const root = rootOf(
    "mha-switch",
    line,
    part(
      "line",
      "div",
      {},
      button("all on", () => set([])),
      button("all off", () => set(heads)),
      onlyOn,
      onlyOff,
    ),
    part(
      "sides",
      "div",
      {},
      element("div", {}, grid.node, element("small", {}, legend(fixed))),
      part("predictions", "div", {}, table.node, note),
    ),
  );
  root.classList.toggle("mha-switch-many", H > FEW);
  root.addEventListener("keydown", ({ key }) => key === "Escape" && set([]));

  /** The last two buttons mean the switch that Tab comes to. */
  function nameButtons() {
    const name = nameOf(fixed, heads[grid.at()]);
    onlyOn.textContent = `only head ${name} on`;
    onlyOff.textContent = `only head ${name} off`;
  }
  nameButtons();

  /**
   * @param {Pair[]} pairs
   * @param {boolean} told whether Python has said what is predicted now
   */
  const show = (pairs, told) => {
    grid.show(off());
    say(line, headline(fixed, off(), told ? pairs : null));
    const numbers = [...known.values()].flatMap((rows) => rows.map(([, , number]) => number));
    table.show(pairs, axis(numbers), told);
  };
  return { root, show, tell: (/** @type {string} */ words) => say(note, words) };
}

function predictions() {
  const titles = ["now", "all on", "change"].map((text) => element("th", { scope: "col" }, text));
  const body = element("tbody");
  const head = element("tr", {}, element("th", { scope: "col" }, "prediction"), element("td"), ...titles);
  const node = element("table", { ariaLabel: "predictions" }, element("thead", {}, head), body);
  /**
   * @param {Pair[]} pairs
   * @param {number[]} ends
   * @param {boolean} told
   */
  const show = (pairs, ends, told) => {
    body.replaceChildren(...predictionRows(pairs, ends));
    node.classList.toggle("mha-switch-unknown", !told);
  };
  return { node, show };
}

/**
 * A switch for each head, a row for each layer: reached by one Tab, walked through by the arrow keys.
 * @param {Given} fixed
 * @param {{ toggle: (head: Head) => void, pointed: () => void }} acts
 */
function gridOf(fixed, { toggle, pointed }) {
  const { L, H, heads } = fixed;
  let focused = 0; // the switch that Tab comes to
  const point = (/** @type {number} */ i) => {
    switches[focused].tabIndex = -1;
    focused = i;
    switches[i].tabIndex = 0;
    pointed();
  };
  const switches = heads.map((head, i) => {
    const alone = movedAlone(fixed, head);
    const words = switchInWords(fixed, head, alone);
    const node = element("button", { type: "button", tabIndex: i ? -1 : 0, title: words.join(": ") });
    node.ariaLabel = words.join(", ");
    node.append(element("b", {}, String(head[1])));
    if (alone !== null && H <= FEW) node.append(element("small", {}, short(alone)));
    node.onclick = () => toggle(head);
    node.onfocus = () => point(i);
    return node;
  });
  const rows = Array.from({ length: L }, (_, layer) =>
    part("layer", "div", {}, element("span", {}, `layer ${layer}`), ...switches.slice(layer * H, (layer + 1) * H)),
  );
  const node = part("grid", "div", { role: "group", ariaLabel: "heads: pressed is on" }, ...rows);
  node.addEventListener("keydown", (event) => {
    const next = steppedInGrid(event, heads[focused], [L, H]);
    if (!next) return;
    event.preventDefault(); // the page would scroll
    switches[next[0] * H + next[1]].focus();
  });
  /** @param {Head[]} off */
  const show = (off) => {
    const isOff = new Set(off.map((head) => keyOf([head])));
    for (const [i, button] of switches.entries()) button.ariaPressed = String(!isOff.has(keyOf([heads[i]])));
  };
  return { node, show, at: () => focused };
}
