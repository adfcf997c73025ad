// @ts-check
// A row of buttons of which one is chosen: a radio group, reached by one Tab, walked through by the arrow keys.

import { element } from "./dom.js";
import { stepped } from "./keys.js";

/**
 * `node` is the group, `show(place)` says which one is chosen.
 * @param {string[]} texts
 * @param {string} label
 * @param {(place: number) => void} choose
 */
export function chooser(texts, label, choose) {
  const choices = texts.map((text, place) =>
    element("button", { type: "button", role: "radio", title: text, onclick: () => choose(place) }, text),
  );
  const node = element("span", { className: "mha-chooser", role: "radiogroup", ariaLabel: label }, ...choices);
  node.addEventListener("keydown", (event) => {
    const at = choices.findIndex((choice) => choice.ariaChecked === "true");
    const next = stepped(event, at, choices.length);
    if (next === null) return;
    event.preventDefault();
    choose(next);
    choices[next].focus();
  });
  /** @param {number} chosen */
  const show = (chosen) => {
    for (const [place, choice] of choices.entries()) {
      choice.ariaChecked = String(place === chosen);
      choice.tabIndex = place === chosen ? 0 : -1;
    }
  };
  return { node, show };
}
