// @ts-check
// The elements: menus, sliders, and the places of what is shown.

import { element, field, named, rootOf, say, uniqueName } from "../shared/dom.js";
import { layerStrip } from "../shared/layer_strip.js";
import { modelsMenu } from "../shared/models_menu.js";
import { grouped } from "../shared/numbers.js";
import { slider } from "../shared/slider.js";
import { disclosure } from "../shared/table.js";
import { BYTES, headWidth } from "./maths.js";
import { facts, kindsTable, leftOutInWords, noteInWords, numbersTable, sourceInWords, termsTable } from "./speech.js";
import { CHOICES, nearest } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Sizes} Sizes */
/** @typedef {import("./traits.js").Traits} Traits */

const part = named("mha-cost");

/** @type {[keyof typeof CHOICES, string][]} */
const SLIDERS = [
  ["n", "tokens"],
  ["d_model", "d_model"],
  ["num_heads", "heads"],
  ["num_kv_heads", "K/V heads"],
  ["d_head", "d_head"],
  ["batch", "batch"],
];

/**
 * A slider over the choices for one size, which may change with the others; it says the value, not the place.
 * @param {keyof typeof CHOICES} name
 * @param {string} words
 * @param {{ sizes: () => Sizes, set: (traits: Partial<Traits>) => void }} acts
 */
function sizeSlider(name, words, { sizes, set }) {
  const { node, text, show } = slider(1, (place) => set({ [name]: CHOICES[name](sizes())[place] }));
  const label = field(element("span", {}, words), node, text);
  const said = (/** @type {Sizes} */ now) => {
    if (name === "num_kv_heads" && now.latent) return "one latent";
    if (name !== "d_head") return grouped(now[name]);
    return `${grouped(headWidth(now))}${now.d_head ? "" : " = D/H"}`;
  };
  return {
    label,
    /** @param {Sizes} now */
    show(now) {
      const choices = CHOICES[name](now);
      const value = now[name];
      const numbers = /** @type {number[]} */ (choices.filter((choice) => choice !== null));
      const place = choices.indexOf(value === null ? null : nearest(numbers, value));
      node.max = String(choices.length - 1);
      node.disabled = choices.length === 1;
      show(Math.max(place, 0), said(now));
    },
  };
}

/**
 * @param {{ models: Traits["_models"], others: Traits["_others"] }} of
 * @param {{ sizes: () => Sizes, set: (traits: Partial<Traits>) => void, change: (traits: Partial<Traits>) => void, choose: (name: string) => void, state: () => State }} acts
 */
export function controls({ models, others }, { sizes, set, change, choose, state }) {
  const sliders = SLIDERS.map(([name, words]) => sizeSlider(name, words, { sizes, set }));
  const menu = modelsMenu(models, others, [element("option", { value: "" }, "sizes of your own")]);
  menu.onchange = () => choose(menu.value);
  const dtype = element("select", {}, ...Object.keys(BYTES).map((name) => element("option", { value: name }, name)));
  dtype.onchange = () => change({ dtype: /** @type {Traits["dtype"]} */ (dtype.value) });
  const over = againstChoice((against) => change({ against }));
  const [source, about, note] = [element("small"), part("about", "p"), part("note", "p")];
  const numbers = part("facts", "div", { ariaLive: "polite" });
  const bar = part("bar", "div", { role: "img" });
  const maps = part("maps", "figure");
  const charts = part("charts", "div");
  const strip = layerStrip();
  const whole = disclosure({
    className: "mha-cost-kinds",
    label: "Layer by layer",
    title: "all layers of this model",
    make: () => {
      const now = state();
      return now.model ? [kindsTable(now, now.model)] : []; // sizes of one's own are no model
    },
  });
  const tables = disclosure({
    className: "mha-cost-numbers",
    label: "The charts as tables",
    title: "the charts in numbers",
    make: () => [termsTable(state()), numbersTable(state())],
  });
  const root = rootOf(
    "mha-cost",
    part("line", "div", {}, field("model", menu), field("numbers", dtype), over.node, source),
    about,
    strip.node,
    part("sliders", "div", {}, ...sliders.map(({ label }) => label)),
    part("now", "div", {}, numbers, maps, bar),
    charts,
    note,
    whole.node,
    tables.node,
  );

  /** @param {State} now */
  const show = (now) => {
    for (const one of sliders) one.show(now.sizes);
    menu.value = now.model?.name ?? "";
    dtype.value = now.sizes.dtype;
    over.show(now.against);
    say(source, now.model ? sourceInWords(now.model) : "");
    say(about, now.model ? leftOutInWords(now.model) : "");
    strip.show(now.model);
    whole.node.hidden = !now.model;
    if (now.model) whole.update();
    tables.update();
    say(note, noteInWords(now));
    showFacts(numbers, now);
  };
  return { root, menu, bar, maps, charts, show };
}

/** @param {(against: Traits["against"]) => void} onChange */
function againstChoice(onChange) {
  const name = uniqueName();
  const radios = /** @type {const} */ (["tokens", "heads"]).map((value) =>
    element("input", { type: "radio", name, value, onchange: () => onChange(value) }),
  );
  const labels = radios.map((radio) => field(radio, radio.value));
  const node = part("against", "div", { role: "radiogroup", ariaLabel: "charts against" }, "charts against", ...labels);
  /** @param {string} against */
  const show = (against) => {
    for (const radio of radios) radio.checked = radio.value === against;
  };
  return { node, show };
}

/**
 * @param {HTMLElement} place
 * @param {State} state
 */
function showFacts(place, state) {
  const boxes = facts(state);
  place.style.setProperty("--mha-columns", String(Math.ceil(boxes.length / 2))); // two rows, with and without a machine
  place.replaceChildren(
    ...boxes.map(([value, words]) => element("div", {}, element("b", {}, value), element("small", {}, words))),
  );
}
