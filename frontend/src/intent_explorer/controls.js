// @ts-check
// The elements: the sentence, the answers, the layer and the colours.

import { gradient } from "../shared/colour.js";
import { element, field, named, say } from "../shared/dom.js";
import { percent } from "../shared/numbers.js";
import { slider } from "../shared/slider.js";
import { othersInWords, tongue } from "./speech.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Traits} Traits */

export const part = named("mha-intent");

/** @param {(sentence: string) => void} choose */
export function sentenceMenu(choose) {
  const menu = element("select");
  menu.onchange = () => choose(menu.value);
  /** @param {string[]} sentences @param {string} chosen */
  const show = (sentences, chosen) => {
    if (menu.options.length !== sentences.length) {
      const option = (/** @type {string} */ value) => element("option", { value, lang: tongue(value) }, value);
      menu.replaceChildren(...sentences.map(option));
    }
    menu.value = chosen;
  };
  return { node: field("Sentence", menu), show };
}

/** The likeliest answers as bars, and what the others share. */
export function answerTable() {
  const body = element("tbody");
  const others = part("others", "p");
  const table = part("answers", "table", {}, element("caption", {}, "The model answers"), body);
  /** @param {State} now */
  const show = (now) => {
    body.replaceChildren(...now.answers.best.map(answerRow));
    say(others, othersInWords(now));
  };
  return { nodes: [table, others], show };
}

/** @param {{ name: string, probability: number }} answer */
function answerRow({ name, probability }) {
  const fill = element("i", { className: "mha-data", style: `width:${100 * probability}%` });
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, ...spoken(name)),
    element("td", {}, part("share", "span", {}, fill)),
    element("td", {}, percent(probability)),
  );
}

/** Each part of a name "中文 · English" marked with its language. @param {string} name */
const spoken = (name) =>
  name.split(" · ").flatMap((words, i) => [...(i ? [" · "] : []), element("span", { lang: tongue(words) }, words)]);

/**
 * @param {{ num_layers: number, _colours: [number, string][] }} of
 * @param {(traits: Partial<Traits>) => void} change
 */
export function layerAndScale({ num_layers, _colours }, change) {
  const layer = slider(num_layers, (place) => change({ layer: place }));
  const stretch = element("input", { type: "checkbox" });
  stretch.onchange = () => change({ stretch: stretch.checked });
  const bar = part("bar", "span", { className: "mha-intent-bar mha-data" });
  bar.style.background = gradient(_colours);
  const end = element("span");
  const layerField = num_layers > 1 ? [field("Layer", layer.node, layer.text)] : [];
  const scale = part("scale", "span", {}, "weight 0", bar, end, field(stretch, "stretch"));
  /** @param {State} now */
  const show = (now) => {
    layer.show(now.layer, now.layer);
    stretch.checked = now.stretch;
    say(end, now.stretch ? now.top.toFixed(2) : "1");
  };
  return { node: part("line", "div", {}, ...layerField, scale), show };
}
