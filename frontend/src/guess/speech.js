// @ts-check
// What is said in words.

import { stateOf } from "./state.js";

export const YOUR_ANSWER = "Your answer";

/**
 * Below the question: nothing about whether the answer is right.
 * @param {string} answer
 * @param {boolean} seen
 * @param {boolean} typed whether the answer is typed
 * @param {boolean} kernel whether there is one that keeps the answer
 */
export function status(answer, seen, typed, kernel) {
  return {
    open: typed ? "Guess before you go on: type it and press Enter." : "Guess before you go on.",
    said: `You said: ${answer}. ${kernel ? "You can change it until you have seen the answer." : "It is kept while this page is open."}`,
    seen: `You said: ${answer}. You have seen the answer, so this stays.`,
  }[stateOf(answer, seen)];
}
