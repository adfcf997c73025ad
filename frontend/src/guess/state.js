// @ts-check
// What follows from the traits.

export const MOST_LETTERS = 120; // of a typed answer, as in Python

/**
 * A typed answer as it is kept: on one line, and no longer than is kept.
 * @param {string} typed
 */
export const tidied = (typed) => [...typed.replace(/\s+/g, " ").trim()].slice(0, MOST_LETTERS).join("").trim();

/**
 * How things stand with a guess.
 * @param {string} answer
 * @param {boolean} seen
 * @returns {"open" | "said" | "seen"}
 */
export const stateOf = (answer, seen) => (!answer ? "open" : seen ? "seen" : "said");
