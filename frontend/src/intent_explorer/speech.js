// @ts-check
// What is said in words.

import { percent } from "../shared/numbers.js";
import { table } from "../shared/table.js";
import { quoted } from "../shared/words.js";
import { largest } from "./state.js";

/** @typedef {import("./state.js").State} State */

export const NO_MODEL =
  "Reading a new sentence needs Python and the trained model: open this notebook in JupyterLab and run its cells.";
export const READING = "Arrow keys read where the heads look, Escape clears.";
const NAMED = 3; // words in the readout

/** Its language, so that letters and voice are the right ones. @param {string} text */
export const tongue = (text) => (/[\u3400-\u9fff]/.test(text) ? "zh" : "en");

/**
 * The words with the largest numbers: "不 0.41, 要 0.20, 险 0.11".
 * @param {number[]} row
 * @param {string[]} words
 */
export const told = (row, words) =>
  largest(row, NAMED)
    .map((j) => `${quoted(words[j])} ${row[j].toFixed(2)}`)
    .join(", ");

/** @param {State} state */
const from = ({ word, words }) => (word < 0 ? "the answer" : `“${quoted(words[word])}”`);

/**
 * @param {State} state
 * @param {boolean} focused whether the keyboard is at the heads
 */
export function readout(state, focused) {
  const { pointed, words, rows, word, shares } = state;
  if (pointed) {
    const weight = rows[pointed.head][pointed.word].toFixed(2);
    return `head ${pointed.head}, from ${from(state)} to “${quoted(words[pointed.word])}”: ${weight}`;
  }
  if (focused) return READING;
  if (word < 0) {
    return `The answer is read from ${told(shares, words)} … Choose a word to see where the heads look from there.`;
  }
  const share = shares[word].toFixed(2);
  return `Where the heads look from ${from(state)}, from which ${share} of the answer is read. Escape goes back to the answer.`;
}

/** @param {State} state */
export function othersInWords({ answers: { others, rest } }) {
  return others ? `${others} other ${others > 1 ? "answers share" : "answer has"} ${percent(rest)}` : "";
}

/**
 * The weights on show as numbers: a row for each word that is looked at.
 * @param {State} state
 */
export function weightsTable(state) {
  const { words, shares, rows, layer } = state;
  const columns = [shares, ...rows];
  return table({
    caption: `Shares of the answer, and where the heads of layer ${layer} look from ${from(state)}`,
    columns: ["the answer", ...rows.map((_, h) => `head ${h}`)],
    rows: words.map((word, j) => [word, ...columns.map((weights) => weights[j].toFixed(2))]),
  });
}
