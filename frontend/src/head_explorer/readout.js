// @ts-check
// The line that says what the cell under the pointer holds.

import { element, say } from "../shared/dom.js";
import { part } from "./parts.js";
import { cellWords, idleWords } from "./speech.js";

/**
 * @param {string} name
 * @param {string} word
 */
const shownWord = (name, word) => part(name, "bdi", { title: word.slice(0, 200) }, word.slice(0, 200));

export function readout() {
  const node = part("readout", "p", { ariaLive: "polite" });
  const touch = matchMedia("(hover: none)");
  return {
    node,
    /** @param {(touch: boolean) => string} words */
    tell(words) {
      node.classList.add("mha-heads-idle");
      say(node, words(touch.matches));
    },
    /**
     * @param {import("./state.js").Shown} shown
     * @param {number[] | null} cell
     * @param {{ pinned: number[], head: number, focused: boolean, exact: import("./state.js").Exact | null,
     *   view: string }} state
     */
    show(shown, cell, { pinned, head, focused, exact, view }) {
      node.classList.toggle("mha-heads-idle", !cell && !focused);
      if (!cell) return say(node, idleWords({ focused, head, pinned, touch: touch.matches, view }));
      const words = cellWords(shown, cell, pinned, exact);
      const small = (/** @type {string} */ text) => element("small", {}, text);
      node.replaceChildren(
        words.head,
        shownWord("query", words.query),
        " → ",
        shownWord("key", words.key),
        " ",
        element("b", {}, words.weight),
        ...(words.precisely ? [small(words.precisely)] : []),
        ...words.beside,
        small(words.sum),
      );
    },
  };
}
