// @ts-check
// Answers, and what the browser's copy of them says.

/** @typedef {import("./traits.js").Answers} Answers */

export const STORED_UNDER = "mha-lab.true-or-false";

/**
 * Where the browser keeps the answers: the first ones, or those of who is asked again.
 * @param {boolean} again
 */
export const shelf = (again) => (again ? `${STORED_UNDER}.again` : STORED_UNDER);

/**
 * The answers in a stored text: only to these statements, only true or false. null where there is nothing to read.
 * @param {string | null} text
 * @param {string[]} keys
 * @returns {Answers | null}
 */
export function readAnswers(text, keys) {
  try {
    const stored = JSON.parse(text ?? "null");
    if (!stored) return null;
    return Object.fromEntries(keys.filter((key) => typeof stored[key] === "boolean").map((key) => [key, stored[key]]));
  } catch {
    return null;
  }
}

/**
 * @param {Answers} a
 * @param {Answers} b
 * @param {string[]} keys
 */
export const sameAnswers = (a, b, keys) => keys.every((key) => a[key] === b[key]);

/**
 * How many of the statements are answered.
 * @param {Answers} answers
 * @param {string[]} keys
 */
export const counted = (answers, keys) => keys.filter((key) => key in answers).length;
