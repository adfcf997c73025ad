// @ts-check
// What stands around the maps, by source: which controls there are, and in which order.

import { rootOf, say } from "../shared/dom.js";
import { chips } from "./chips.js";
import { colourKey, columnControls, dialRow, facts, maskControls, viewChooser } from "./controls.js";
import { line, part } from "./parts.js";
import { readout } from "./readout.js";
import { ownSentence, sentenceMenu } from "./sentence.js";
import { dials } from "./state.js";
import { timingsPanel } from "./timings.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("../shared/traits.js").Model<Traits>} Model
 * @typedef {import("./state.js").Get} Get
 * @typedef {ReturnType<typeof import("../shared/traits.js").changer<Traits>>} Change
 * @typedef {import("./paint.js").Sheet} Sheet
 */

const ROOMY = 640; // px

/**
 * @param {Model} model
 * @param {Get} get
 * @param {Change} change
 * @param {ReturnType<typeof import("../shared/kernel.js").kernelOf>} kernel
 */
export function page(model, get, change, kernel) {
  const made = get("source") === "recorded" ? ofRecordings(get, change, kernel) : ofHeadCounts(model, get, change);
  const { rows, below, shown, own, timings, tail } = made;
  const reading = readout();
  const beside = part("reading", "div", {}, reading.node);
  const legend = legendLine();
  const glance = part("glance", "div");
  const root = rootOf("mha-heads", ...rows, beside, glance, ...below, legend.node);
  return {
    root,
    glance,
    reading,
    timings,
    own,
    /**
     * Beside the read-out stand the views and the key to the colours where all have room, so that the maps begin higher.
     * @param {number} width
     */
    settle(width) {
      const home = timings && width >= ROOMY ? beside : rows[0].querySelector(".mha-heads-line");
      if (tail.node.parentElement !== home) home?.append(tail.node);
    },
    /** @param {Sheet} sheet */
    show(sheet) {
      for (const control of [...shown, legend]) control.show(sheet);
    },
  };
}

/**
 * @param {Get} get
 * @param {Change} change
 * @param {ReturnType<typeof import("../shared/kernel.js").kernelOf>} kernel
 */
function ofRecordings(get, change, kernel) {
  const [menu, own] = [sentenceMenu(get, change), ownSentence(get, change, kernel)];
  const [layers, words, tail] = [dialRow(get, change), chips(get, change), tailOf(get, change)];
  const rows = [line(menu.node, own.node), own.message, top(layers.nodes, [tail.node])];
  return { rows, below: words.nodes, shown: [menu, own, layers, tail, words], own, timings: null, tail };
}

/**
 * @param {Model} model
 * @param {Get} get
 * @param {Change} change
 */
function ofHeadCounts(model, get, change) {
  const trained = get("source") === "trained";
  const [heads, tail, numbers] = [dialRow(get, change), tailOf(get, change), facts(get)];
  const more = trained ? [sentenceMenu(get, change)] : [maskControls(get, change), columnControls(get, change)];
  const words = chips(get, change);
  const timings = timingsPanel(model, change, dials(get)[0].steps);
  const nodes = more.flatMap((control) => ("nodes" in control ? control.nodes : [control.node]));
  const rows = [top(heads.nodes, [...nodes, tail.node]), numbers.node];
  return { rows, below: words.nodes, shown: [heads, ...more, tail, numbers, timings, words], own: null, timings, tail };
}

/**
 * @param {Get} get
 * @param {Change} change
 */
function tailOf(get, change) {
  const [views, key] = [viewChooser(get, change), colourKey(get, change)];
  return {
    node: part("tail", "span", {}, views.node, key.node),
    /** @param {Sheet} sheet */
    show(sheet) {
      views.show();
      key.show(sheet);
    },
  };
}

/**
 * The sliders, which stay in sight on a phone, and what stands beside them.
 * @param {HTMLElement[]} sliders
 * @param {HTMLElement[]} others
 */
const top = (sliders, others) => part("top", "div", {}, part("steer", "div", {}, ...sliders), line(...others));

function legendLine() {
  const pooled = document.createElement("span");
  const node = part(
    "legend",
    "p",
    {},
    "each ",
    part("query", "span", {}, "row"),
    " is a word that looks (query), each ",
    part("key", "span", {}, "column"),
    " a word it looks at (key); a row's weights sum to 1",
    pooled,
  );
  return {
    node,
    /** @param {Sheet} sheet */
    show({ layout }) {
      const { pool } = layout.places[layout.places.length - 1];
      say(pooled, pool > 1 ? `; a pixel shows the largest of ${pool} × ${pool} weights` : "");
    },
  };
}
