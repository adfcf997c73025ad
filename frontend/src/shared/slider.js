// @ts-check
// A slider over named steps, its value in words beside it.

import { element } from "./dom.js";

/**
 * A slider over 0 … count - 1. show(place, words) moves it and says where it stands, to the eye and to a screen reader.
 * @param {number} count
 * @param {(place: number) => void} onInput
 * @param {Record<string, unknown>} [properties]
 */
export function slider(count, onInput, properties = {}) {
  const text = element("output");
  const node = element("input", { type: "range", min: 0, max: count - 1, step: 1, ...properties });
  node.addEventListener("input", () => onInput(Number(node.value)));
  return {
    node,
    text,
    /**
     * @param {number} place
     * @param {string | number} words
     */
    show(place, words) {
      node.value = String(place);
      text.textContent = String(words);
      node.ariaValueText = String(words);
    },
  };
}
