// @ts-check
// A box for the learner's own sentence, which the kernel reads, and what is said meanwhile. What was typed stays.

import { element, say } from "./dom.js";

const WITHIN = 5000; // ms until one is told that the kernel is late

/**
 * @typedef Now
 * @property {string} sentence on show
 * @property {string} typed
 * @property {string} message what stands where nothing else is to be said
 * @property {string[]} known sentences that need no kernel
 * @property {string} cannot why no new one can be read; empty where it can
 * @property {string} [loading] what is said while it is read, where that takes seconds
 */

/**
 * @param {object} options
 * @param {ReturnType<typeof import("./dom.js").named>} options.part
 * @param {string} options.button
 * @param {ReturnType<typeof import("./kernel.js").kernelOf>} options.kernel
 * @param {() => Now} options.now
 * @param {(sentence: string) => void} options.choose one that is known
 * @param {(typed: string) => void} options.type
 */
export function ownSentence({ part, button, kernel, now, choose, type }) {
  const box = { type: "text", spellcheck: false, placeholder: "or type your own", ariaLabel: "your own sentence" };
  const input = element("input", box);
  const node = part("form", "form", {}, input, element("button", { type: "submit" }, button));
  const message = part("message", "p", { role: "status" });
  let standing = ""; // words that stand until the kernel answers, or another sentence is chosen
  let sentenceThen = now().sentence;
  /** @param {string} words */
  const stand = (words) => {
    standing = words;
    say(message, words);
  };

  node.onsubmit = (event) => {
    event.preventDefault();
    const sentence = input.value.trim();
    type(input.value);
    const { known, cannot, loading } = now();
    if (known.includes(sentence)) return choose(sentence);
    if (cannot) return say(message, cannot);
    stand(loading || "Reading …");
    kernel.ask({ kind: "read", sentence }, { within: loading ? 6 * WITHIN : WITHIN, onSilence: stand });
  };
  input.oninput = () => type(input.value);
  return {
    node,
    message,
    /** The kernel has answered. */
    answered() {
      kernel.answered();
      standing = "";
    },
    show() {
      const { sentence, typed, message: words } = now();
      if (sentenceThen !== sentence) [sentenceThen, standing] = [sentence, ""];
      if (!input.matches(":focus")) input.value = typed;
      say(message, standing || words);
    },
  };
}
