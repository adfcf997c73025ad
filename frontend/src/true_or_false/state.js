// @ts-check
// Answers, and the copy of them that the browser keeps.

/** @typedef {import("./traits.js").Answers} Answers */

export const STORED_UNDER = "mha-lab.true-or-false";

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
 * What the browser has kept, or null: a browser may refuse to keep anything.
 * @param {string[]} keys
 */
export function kept(keys) {
  try {
    return readAnswers(localStorage.getItem(STORED_UNDER), keys);
  } catch {
    return null;
  }
}

/**
 * Keeps the answers in the browser, if it lets.
 * @param {Answers} answers
 */
export function keep(answers) {
  try {
    if (Object.keys(answers).length) localStorage.setItem(STORED_UNDER, JSON.stringify(answers));
    else localStorage.removeItem(STORED_UNDER);
  } catch {
    // Then they live as long as the notebook.
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
