// @ts-check
// The sentence on show: a menu of recorded ones, and a box for the learner's own, which the kernel reads.

import { element, field, say } from "../shared/dom.js";
import { part } from "./parts.js";
import { recordings } from "./state.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./controls.js").Change} Change
 * @typedef {ReturnType<typeof import("../shared/kernel.js").kernelOf>} Kernel
 */

const LOADING = "The first sentence loads the model: seconds …";
const WITHIN = 5000; // ms

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
export function ownSentence(get, change, kernel) {
  const input = element("input", {
    type: "text",
    spellcheck: false,
    placeholder: "or type your own",
    ariaLabel: "your own sentence",
  });
  const form = part("form", "form", {}, input, element("button", {}, "Show its heads"));
  const message = part("message", "p", { role: "status" });
  let standing = ""; // words that stand until the kernel answers, or another sentence is chosen
  let sentenceThen = get("sentence");
  /** @param {string} words */
  const stand = (words) => {
    standing = words;
    say(message, words);
  };

  form.onsubmit = (event) => {
    event.preventDefault();
    const sentence = input.value.trim();
    change({ typed: input.value });
    if (recordings(get).some((recording) => recording.sentence === sentence)) return change({ sentence, message: "" });
    if (!get("can_read")) return say(message, get("how_to_read"));
    const loaded = get("loaded");
    stand(loaded ? "Reading …" : LOADING);
    kernel.ask({ kind: "read", sentence }, { within: loaded ? WITHIN : 6 * WITHIN, onSilence: stand });
  };
  input.oninput = () => change({ typed: input.value });
  return {
    node: form,
    message,
    /** The kernel has answered. */
    answered() {
      kernel.answered();
      standing = "";
    },
    show() {
      if (sentenceThen !== get("sentence")) [sentenceThen, standing] = [get("sentence"), ""];
      if (!input.matches(":focus")) input.value = get("typed");
      say(message, standing || get("message") || (get("can_read") ? "" : get("how_to_read")));
    },
  };
}
