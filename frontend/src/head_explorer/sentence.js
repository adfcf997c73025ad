// @ts-check
// The sentence on show: a menu of recorded ones, and a box for the learner's own, which the kernel reads.

import { element, field } from "../shared/dom.js";
import { ownSentence as sentenceBox } from "../shared/own_sentence.js";
import { part } from "./parts.js";
import { recordings } from "./state.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./controls.js").Change} Change
 * @typedef {ReturnType<typeof import("../shared/kernel.js").kernelOf>} Kernel
 */

const LOADING = "The first sentence loads the model: seconds …";

/**
 * @param {Get} get
 * @param {Change} change
 */
export function sentenceMenu(get, change) {
  const menu = element("select");
  menu.onchange = () => change({ sentence: menu.value, message: "" });
  return {
    node: field(get("source") === "trained" ? "Read" : "Sentence", menu),
    show() {
      const sentences = recordings(get).map(({ sentence }) => sentence);
      if (menu.options.length !== sentences.length) {
        menu.replaceChildren(...sentences.map((sentence) => element("option", { value: sentence }, sentence)));
      }
      menu.value = get("sentence");
    },
  };
}

/**
 * @param {Get} get
 * @param {Change} change
 * @param {Kernel} kernel
 */
export const ownSentence = (get, change, kernel) =>
  sentenceBox({
    part,
    button: "Show its heads",
    kernel,
    choose: (sentence) => change({ sentence, message: "" }),
    type: (typed) => change({ typed }),
    now: () => {
      const cannot = get("can_read") ? "" : get("how_to_read");
      return {
        sentence: get("sentence"),
        typed: get("typed"),
        message: get("message") || cannot,
        known: recordings(get).map(({ sentence }) => sentence),
        cannot,
        loading: get("loaded") ? "" : LOADING,
      };
    },
  });
