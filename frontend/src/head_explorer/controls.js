// @ts-check
// The controls of the maps: they show traits, and set them.

import { gradient } from "../shared/colour.js";
import { element, field } from "../shared/dom.js";
import { stepped } from "../shared/keys.js";
import { divisors, grouped, plural, within } from "../shared/numbers.js";
import { slider } from "../shared/slider.js";
import { parameterCount } from "./maths.js";
import { part } from "./parts.js";
import { dials } from "./state.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {(traits: Partial<Traits>) => void} Change
 */

/**
 * A slider for each dial, with its name and value.
 * @param {Get} get
 * @param {Change} change
 */
export function dialRow(get, change) {
  const made = dials(get).map(({ trait, label, steps }) => {
    const dial = slider(steps.length, (place) => change({ [trait]: steps[place] }));
    const show = () => dial.show(steps.indexOf(get(trait)), get(trait));
    return { node: field(label, dial.node, dial.text), show };
  });
  return { nodes: made.map(({ node }) => node), show: () => made.forEach(({ show }) => show()) };
}

/**
 * Causal mask and window, of a projection.
 * @param {Get} get
 * @param {Change} change
 */
export function maskControls(get, change) {
  const causal = element("input", { type: "checkbox" });
  const most = get("tokens").length;
  const near = element("input", { type: "number", min: 0, max: most, placeholder: "none" });
  causal.onchange = () => change({ causal: causal.checked });
  near.oninput = () => change({ window: within(Math.round(Number(near.value)), 0, most) });
  return {
    nodes: [field(causal, "causal mask"), field("Window", near)],
    show() {
      causal.checked = get("causal");
      near.value = String(get("window") || "");
    },
  };
}

/**
 * Shuffled columns, and heads of keys that are shared; of a projection.
 * @param {Get} get
 * @param {Change} change
 */
export function columnControls(get, change) {
  const shuffle = element("button", { type: "button", title: "put the columns of Q and K into another order" });
  const undo = element("button", { type: "button" }, "In order");
  const shared = element("select", { ariaLabel: "heads of keys and values" });
  shuffle.onclick = () => change({ shuffle: get("shuffle") + 1 });
  undo.onclick = () => {
    change({ shuffle: 0 });
    shuffle.focus();
  };
  shared.onchange = () => change({ num_kv_heads: Number(shared.value) });
  let listed = 0;
  return {
    nodes: [part("pair", "span", {}, shuffle, undo), field("K/V", shared)],
    show() {
      const [seed, heads] = [get("shuffle"), get("num_heads")];
      shuffle.textContent = seed ? `Shuffle again (${seed})` : "Shuffle columns";
      undo.hidden = !seed;
      if (listed !== heads) {
        listed = heads;
        const fewer = divisors(heads).slice(0, -1).reverse();
        const options = [[0, "own"], ...fewer.map((count) => [count, String(count)])];
        shared.replaceChildren(...options.map(([value, words]) => element("option", { value }, String(words))));
      }
      shared.value = String(get("num_kv_heads") % heads); // as many as heads: each has its own
    },
  };
}

/**
 * What the colours mean.
 * @param {Get} get
 * @param {Change} change
 */
export function colourKey(get, change) {
  const stretch = element("input", { type: "checkbox" });
  const end = element("span");
  const bar = part("bar", "span");
  bar.style.background = gradient(get("_colours"));
  const masked = part("masked", "span", {}, element("i"), "masked");
  stretch.onchange = () => change({ stretch: stretch.checked });
  return {
    node: part("scale", "span", {}, masked, "weight 0", bar, end, field(stretch, "stretch")),
    /** @param {Shown} shown */
    show({ allowed }) {
      stretch.checked = get("stretch");
      end.textContent = stretch.checked ? "head's largest" : "1";
      masked.hidden = !allowed;
    },
  };
}

const VIEWS = /** @type {const} */ ({ maps: "Maps", lines: "Lines", overview: "All layers" });

/**
 * Maps, lines of one head, or all layers at once.
 * @param {Get} get
 * @param {Change} change
 */
export function viewChooser(get, change) {
  const names = /** @type {(keyof typeof VIEWS)[]} */ (Object.keys(VIEWS));
  const offered = names.filter((name) => name !== "overview" || get("num_layers") > 1);
  const buttons = offered.map((name) => {
    const onclick = () => change({ view: name, hovered: [] });
    return element("button", { type: "button", role: "radio", onclick }, VIEWS[name]);
  });
  const node = part("views", "span", { role: "radiogroup", ariaLabel: "what is drawn" }, ...buttons);
  node.addEventListener("keydown", (event) => {
    const next = stepped(event, offered.indexOf(get("view")), offered.length);
    if (next === null) return;
    event.preventDefault();
    buttons[next].click();
    buttons[next].focus();
  });
  return {
    node,
    show() {
      buttons.forEach((button, i) => {
        const chosen = offered[i] === get("view");
        button.ariaChecked = String(chosen);
        button.tabIndex = chosen ? 0 : -1;
      });
    },
  };
}

/**
 * The four numbers that move, or do not move, with the head count.
 * @param {Get} get
 */
export function facts(get) {
  const names = ["heads H", "d_head", "parameters", "stored scores"];
  const made = names.map((name) => ({ number: element("b"), why: element("small"), name }));
  const boxes = made.map(({ name, number, why }) => element("div", {}, element("span", {}, name), number, why));
  return {
    node: part("facts", "div", {}, ...boxes),
    /** @param {Shown} shown */
    show({ all: { n, s } }) {
      const [heads, width, bias] = [get("num_heads"), get("d_model"), get("bias")];
      const shared = (get("num_kv_heads") || heads) / heads;
      const biases = bias ? " + 4·D" : "";
      const cells = n === s ? `${n}²` : `${n} × ${s}`;
      const rows = /** @type {const} */ ([
        [heads, `d_model ${width} in ${heads}`],
        [width / heads, `${width} / ${heads}`],
        [
          parameterCount(width, bias, shared),
          shared < 1 ? `W^K, W^V: ${plural(heads * shared, "head")}` : `4·D²${biases}: no H`,
        ],
        [heads * n * s, `H·N² = ${heads} × ${cells}`],
      ]);
      rows.forEach(([value, words], i) => {
        made[i].number.textContent = grouped(value);
        made[i].why.textContent = words;
      });
    },
  };
}
