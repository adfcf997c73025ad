// @ts-check
// What is said: the read-out, the names of the parts for a screen reader, and the table.

import { element, named, say } from "../shared/dom.js";
import { disclosure, table } from "../shared/table.js";
import { bytesInWords, exact, inWords, kindOf } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Counted} Counted
 */

const make = named("mha-layer");

const numbersOf = (/** @type {Counted} */ { shape }) => `(${shape.join(", ")})`;
const parametersOf = (/** @type {Counted} */ part) =>
  part.learned ? `${part.learned} = ${exact(part.parameters)}` : part.parameters ? exact(part.parameters) : "none";

/** The FLOPs of a part: as they come about, or why there is no number. */
function workOf(/** @type {Counted} */ part, /** @type {State} */ { sizes: { P } }) {
  if (part.name === "softmax" || part.name === "mask") return "few, and not counted";
  if (!part.work) return part.flops ? exact(part.flops) : "none";
  return `${part.work} = ${exact(part.flops)}${part.work.includes("P") ? `; P = ${exact(P)} pairs` : ""}`;
}

/** A part in words, for who cannot see it. */
export const partLabel = (/** @type {Counted} */ part) =>
  `${part.label}. ${part.sentence} ${part.formula}. Shape ${part.letters} = ${numbersOf(part)}.`;

/** The read-out below the drawing: the part that is shown, or the whole layer. */
export function readout() {
  const name = element("b");
  const sentence = element("span");
  const facts = ["formula", "shape", "parameters", "FLOPs", "lesson"].map((what) => ({
    term: element("dt", {}, what),
    words: element("dd"),
  }));
  const status = make("status", "p", { role: "status" });
  const node = make(
    "readout",
    "div",
    {},
    element("p", {}, name, " ", sentence),
    element("dl", {}, ...facts.map(({ term, words }) => element("div", {}, term, words))),
    status,
  );
  /** @param {State} state */
  const show = (state) => {
    const { shown, whole, sizes } = state;
    say(name, shown.label);
    say(sentence, shown.sentence);
    say(facts[2].term, shown.bytes && shown !== whole ? "bytes" : "parameters");
    const kept = shown.bytes && shown !== whole;
    const words = [
      shown.formula,
      `${shown.letters} = ${numbersOf(shown)}`,
      kept ? `2·B·G·S·K numbers = ${bytesInWords(shown.bytes)}` : parametersOf(shown),
      workOf(shown, state),
      shown.lesson || (shown === whole ? "01 to 03" : "there before the layer begins"),
    ];
    facts.forEach((fact, i) => {
      say(fact.words, words[i]);
    });
    say(status, `${kindOf(sizes)}: ${inWords(whole.parameters)} parameters, ${inWords(whole.flops)} FLOPs`);
  };
  return { node, show };
}

const COLUMNS = ["formula", "shape", "in numbers", "parameters", "FLOPs", "lesson"];

/** All parts as a table. @param {() => State} present */
export function partsTable(present) {
  return disclosure({
    className: "mha-layer-table mha-folded-table",
    label: "The parts of the layer as a table",
    title: "All parts as a table",
    make() {
      const state = present();
      const row = (/** @type {Counted} */ part) => [
        part.label,
        part.formula,
        part.letters,
        numbersOf(part),
        exact(part.parameters),
        exact(part.flops),
        part.lesson,
      ];
      const bytes = state.whole.bytes ? `; the cache takes ${bytesInWords(state.whole.bytes)}` : "";
      const caption = `The parts of the layer in the order of the flow${bytes}`;
      return [table({ caption, corner: "part", columns: COLUMNS, rows: [...state.flow, state.whole].map(row) })];
    },
  });
}
