// @ts-check
// A button for each word: pressed, the word is hidden.

import { element, say } from "../shared/dom.js";
import { walkable } from "../shared/keys.js";
import { line, part } from "./parts.js";
import { hiddenWords } from "./speech.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./state.js").Shown} Shown
 */

/**
 * @param {Get} get
 * @param {import("./controls.js").Change} change
 */
export function chips(get, change) {
  const row = part("chips", "div", { role: "toolbar", ariaLabel: "hide words" });
  const message = part("hiding", "p", { role: "status" });
  /** @type {string[]} */
  let words = [];

  row.onclick = ({ target }) => {
    const word = words[[...row.children].indexOf(/** @type {Element} */ (target))];
    const hidden = get("hidden");
    const next = hidden.includes(word) ? hidden.filter((other) => other !== word) : [...hidden, word];
    // One word at least stays.
    if (word !== undefined && words.some((other) => !next.includes(other))) change({ hidden: next, hovered: [] });
  };
  walkable(row);

  return {
    nodes: [line("Hide", row), message],
    /** @param {Shown} shown */
    show(shown) {
      if (String(words) !== String(shown.all.keys)) {
        words = shown.all.keys;
        row.replaceChildren(
          ...words.map((word, i) =>
            element("button", { type: "button", tabIndex: i ? -1 : 0, title: word.slice(0, 200) }, word.slice(0, 200)),
          ),
        );
      }
      const hidden = get("hidden");
      [...row.children].forEach((chip, i) => {
        const pressed = String(hidden.includes(words[i]));
        if (chip.ariaPressed !== pressed) chip.ariaPressed = pressed;
      });
      const said = hiddenWords(shown, hidden, get("pinned"));
      if (said !== null) say(message, said);
    },
  };
}
