// @ts-check
// The layers of a model in a row: what each looks at, by height and by letter.

import { element } from "./dom.js";

/** What the letters mean; height tells how far a layer looks. @type {Record<string, string>} */
const WORDS = {
  G: "global",
  N: "global without positions",
  L: "local",
  K: "compressed",
  H: "heavily compressed",
  S: "linear: a state",
  V: "convolution",
};

/**
 * A row of bars, a layer each, and below it what they mean. show(model) draws another model's; none for null, and where all
 * layers are alike.
 */
export function layerStrip() {
  const row = element("div", { className: "mha-layers-row", role: "img" });
  const legend = element("small", { className: "mha-layers-legend" });
  const node = element("div", { className: "mha-layers" }, row, legend);
  let shown = "";
  /** @param {{ name: string, pattern: string, shared: number, layers: string } | null} model */
  const show = (model) => {
    const alike = !model || (new Set(model.pattern).size === 1 && !model.shared);
    node.hidden = alike;
    if (alike || shown === model.name) return;
    shown = model.name;
    const { pattern, shared } = model;
    row.ariaLabel = `The ${pattern.length} layers of ${model.name}, the first on the left: ${inRuns(pattern)}`;
    row.replaceChildren(
      ...[...pattern].map((letter, i) => {
        const bar = element("i", { title: `layer ${i + 1}: ${WORDS[letter]}` });
        bar.dataset.kind = letter;
        bar.classList.toggle("mha-layers-shared", i >= pattern.length - shared);
        return bar;
      }),
    );
    legend.replaceChildren(...legendOf(pattern, shared > 0));
  };
  show(null);
  return { node, show };
}

/**
 * What the bars of these kinds of layers mean; without letters, of all kinds.
 * @param {string} [letters]
 * @param {boolean} [shared] whether some take an earlier layer's keys
 */
export function legendOf(letters = Object.keys(WORDS).join(""), shared = true) {
  const item = (/** @type {string} */ letter, /** @type {string} */ words, className = "") => {
    const key = element("i", { className, "aria-hidden": "true" });
    key.dataset.kind = letter;
    return element("span", {}, key, ` ${words}`);
  };
  const kinds = [...new Set(letters)].map((letter) => item(letter, WORDS[letter]));
  return shared ? [...kinds, item("G", "with an earlier layer's keys", "mha-layers-shared")] : kinds;
}

/**
 * "3 linear: a state, 1 global, …": a screen reader's way along the row; a pattern that repeats is said once.
 * @param {string} pattern
 */
function inRuns(pattern) {
  const period = [1, 2, 3, 4, 5, 6].find((size) => [...pattern].every((letter, i) => letter === pattern[i % size]));
  const once = period && period < pattern.length ? pattern.slice(0, period) : pattern;
  const runs = once.match(/(.)\1*/g) ?? [];
  const words = runs.map((run) => `${run.length} ${WORDS[run[0]]}`).join(", ");
  return period && period < pattern.length ? `again and again ${words}` : words;
}
