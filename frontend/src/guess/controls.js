// @ts-check
// The elements: the question, and its choices or a place to type.

import { element, named, rootOf, say, uniqueName } from "../shared/dom.js";
import { status, YOUR_ANSWER } from "./speech.js";
import { MOST_LETTERS, tidied } from "./state.js";

const part = named("mha-guess");

/** @typedef {(answer: string) => void} Answering */

/**
 * @param {string} question
 * @param {string[]} choices
 * @param {boolean} kernel
 * @param {Answering} answer
 */
export function controls(question, choices, kernel, answer) {
  const name = uniqueName();
  const asked = part("question", "p", { id: name }, question);
  const way = choices.length ? radios(choices, name, answer) : typing(name, answer);
  const told = part("status", "p", { role: "status" });
  const root = rootOf("mha-guess", asked, way.node, told);
  /**
   * @param {string} given
   * @param {boolean} seen
   */
  const show = (given, seen) => {
    way.show(given, seen);
    say(told, status(given, seen, !choices.length, kernel));
  };
  return { root, show };
}

/**
 * @param {string[]} choices
 * @param {string} name a name that no other view has
 * @param {Answering} answer
 */
function radios(choices, name, answer) {
  const inputs = choices.map((value) =>
    element("input", { type: "radio", name: `${name}-choices`, value, onchange: () => answer(value) }),
  );
  const labels = choices.map((value, i) => element("label", {}, inputs[i], value));
  const node = part(
    "choices",
    "div",
    { className: "mha-choices mha-guess-choices", role: "radiogroup", "aria-labelledby": name },
    ...labels,
  );
  /**
   * @param {string} given
   * @param {boolean} seen
   */
  const show = (given, seen) => {
    for (const input of inputs) {
      input.checked = input.value === given;
      input.disabled = seen && given !== "";
    }
  };
  return { node, show };
}

/**
 * @param {string} name
 * @param {Answering} answer
 */
function typing(name, answer) {
  const input = element("input", {
    type: "text",
    maxLength: MOST_LETTERS,
    autocomplete: "off",
    "aria-labelledby": `${name}-label ${name}`,
    onchange: () => {
      input.value = tidied(input.value);
      answer(input.value);
    },
  });
  const label = element("span", { id: `${name}-label` }, YOUR_ANSWER);
  const node = part("typed", "label", {}, label, input);
  /**
   * @param {string} given
   * @param {boolean} seen
   */
  const show = (given, seen) => {
    if (input.value !== given) input.value = given;
    input.disabled = seen && given !== "";
  };
  return { node, show };
}
