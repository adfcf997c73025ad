// @ts-check
// All parts of the explorer put together; show() draws the present state into them.

import { colourTable } from "../shared/colour.js";
import { rootOf, say } from "../shared/dom.js";
import { ownSentence } from "../shared/own_sentence.js";
import { disclosure } from "../shared/table.js";
import { answerTable, layerAndScale, part, sentenceMenu } from "./controls.js";
import { NO_MODEL, readout, weightsTable } from "./speech.js";
import { derived, readings } from "./state.js";
import { headRows, wordChooser } from "./words.js";

/** @typedef {import("./traits.js").Traits} Traits */

/**
 * @param {() => Traits} traits
 * @param {(traits: Partial<Traits>) => void} change
 * @param {ReturnType<typeof import("../shared/kernel.js").kernelOf>} kernel
 */
export function viewOf(traits, change, kernel) {
  const colours = colourTable(traits()._colours);
  let now = derived(traits());
  // Another sentence has other words: none of them is chosen or pointed at.
  const choose = (/** @type {string} */ sentence) => change({ sentence, word: -1, hovered: [], message: "" });
  const read = (/** @type {number[]} */ ...hovered) =>
    String(hovered) !== String(traits().hovered) && change({ hovered });
  const menu = sentenceMenu(choose);
  const own = ownSentence({
    part,
    button: "Read it",
    kernel,
    choose,
    type: (typed) => change({ typed }),
    now: () => {
      const { sentence, typed, message, can_read } = traits();
      const known = readings(traits()).map((reading) => reading.sentence);
      return { sentence, typed, message: message || now.reading.note, known, cannot: can_read ? "" : NO_MODEL };
    },
  });
  const answers = answerTable();
  const scale = layerAndScale(traits(), change);
  const line = part("readout", "p", { ariaLive: "polite" });
  const words = wordChooser(colours, (word) => change({ word }));
  const heads = headRows(now.H, colours, { state: () => now, read, clear: () => read(), focus: () => point() });
  const make = () => [weightsTable(now)];
  const table = disclosure({ className: "mha-intent-table", label: "weights", make });
  const root = rootOf(
    "mha-intent",
    part("line", "div", {}, menu.node, own.node),
    own.message,
    ...answers.nodes,
    scale.node,
    line,
    words.node,
    heads.node,
    table.node,
  );

  /** What is read: drawn without the rest. */
  function point() {
    now = derived(traits());
    heads.point(now);
    say(line, readout(now, heads.node.matches(":focus-visible")));
  }
  function show() {
    now = derived(traits());
    menu.show(
      readings(traits()).map(({ sentence }) => sentence),
      now.reading.sentence,
    );
    own.show();
    for (const shown of [answers, scale, words, heads]) shown.show(now);
    point();
    table.update();
  }
  return { root, show, point, answered: own.answered, dispose: heads.dispose };
}
