// @ts-check
// Everything that is said: the step, the arithmetic of one query, the score that is pointed at, bytes, and the tables.

import { amount, grouped, plural } from "../shared/numbers.js";
import { table } from "../shared/table.js";
import { BYTES, stepOf, writtenAt } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./maths.js").Step} Step */

const LARGE = 9999.5; // longer numbers take the table's room

/** A number with a true minus. @param {number} number @param {number} decimals */
export function rounded(number, decimals) {
  if (number === -Infinity) return "−∞";
  if (Math.abs(number) >= LARGE) return number.toExponential(1).replace("e+", "e").replace("-", "−");
  const digits = number.toFixed(decimals);
  return Number(digits) === 0 ? digits.replace("-", "") : digits.replace("-", "−");
}
export const short = (/** @type {number} */ number) => rounded(number, 2);

const bytes = (/** @type {number} */ count) => `${grouped(count)} byte${count === 1 ? "" : "s"}`;
const vector = (/** @type {number[]} */ numbers) => `(${numbers.map(short).join(", ")})`;
const span = (
  /** @type {string} */ one,
  /** @type {string} */ many,
  /** @type {number} */ from,
  /** @type {number} */ to,
) => (to - from > 1 ? `${many} ${from}–${to - 1}` : `${one} ${from}`);

/** Where a step is. @param {Step} step */
function placeInWords({ first, end, start, stop }) {
  const queries = span("query", "queries", first, end);
  if (start < stop) return `${queries} × ${span("key", "keys", start, stop)}`;
  return `${queries}: write ${end - first > 1 ? "their" : "its"} output`;
}

/** @param {State} state */
export const stepInWords = ({ step, last, present }) =>
  present ? `step ${step} of ${last}: ${placeInWords(present)}` : `step 0 of ${last}: nothing is read yet`;

/** The blocks in fast memory. @param {State} state */
export function partsHeld({ present, K, V }) {
  if (!present) return [{ hue: "none", words: "empty" }];
  const { first, end, start, stop, output } = present;
  const [rows, columns] = [end - first, stop - start];
  const kept = [
    { hue: "other", words: `m, l ${rows} each` },
    { hue: "output", words: `o ${rows} × ${V}` },
  ];
  const query = { hue: "query", words: `q ${rows} × ${K}` };
  if (output) return [query, ...kept];
  return [
    query,
    { hue: "key", words: `k ${columns} × ${K}` },
    { hue: "value", words: `v ${columns} × ${V}` },
    { hue: "scores", words: `scores ${rows} × ${columns}` },
    ...kept,
  ];
}

/** The arithmetic of the query that is read, a part for each number. @param {State} state @returns {[string, string][]} */
export function arithmetic(state) {
  const { present, row, quoted, N, trace, step } = state;
  const word = `“${quoted[row]}”`;
  if (!present) return [["", `Q, K and V wait in slow memory. No place is made for the ${grouped(N * N)} scores.`]];
  if (row >= present.end) return [["", `${word} waits: its query is read in step ${stepOf(state, row, 0)}.`]];
  if (row < present.first) return [["", `${word} is done: its output was written in step ${writtenAt(state, row)}.`]];
  const [before, now] = [present.before[row - present.first], present.running[row - present.first]];
  if (present.output) {
    const output = present.output[row - present.first];
    return [
      ["output", `of ${word} = summed / total = ${vector(now.summed)} / ${short(now.total)} = ${vector(output)}`],
      ["", "It is written to slow memory; m, l and o are free again."],
    ];
  }
  const scores = present.scores[row - present.first].filter((score) => score !== -Infinity);
  const weights = present.weights[row - present.first].filter((_, at) => at < scores.length);
  if (!scores.length) return [["", `${word}: every key of this tile is in its future, so nothing changes.`]];
  const begins = trace[step - 1].start === 0;
  const plus = weights.map(short).join(" + ");
  return [
    [
      "largest m",
      `= max(${[...(begins ? [] : [before.largest]), ...scores].map(short).join(", ")}) = ${short(now.largest)}`,
    ],
    [
      "shrink",
      begins
        ? "none: nothing was summed before"
        : `= exp(${short(before.largest)} − ${bracket(now.largest)}) = ${short(now.shrink)}`,
    ],
    ["total l", `= ${begins ? "" : `${short(before.total)} · ${short(now.shrink)} + `}${plus} = ${short(now.total)}`],
    ["summed o", `= ${begins ? "" : `old o · ${short(now.shrink)} + `}Σ exp(s − m) · v = ${vector(now.summed)}`],
  ];
}

const bracket = (/** @type {number} */ number) => (number < 0 ? `(${short(number)})` : short(number));

/** The score that is pointed at: where it is, or that it is nowhere. @param {State} state */
export function scoreInWords(state) {
  const { row, column, quoted, step, causal, trace } = state;
  if (column < 0) return "";
  const name = `The score of “${quoted[row]}” for “${quoted[column]}”`;
  const at = stepOf(state, row, column);
  if (!at) return `${name}: in its future, and so is the whole tile. It is skipped; no score is computed.`;
  const { scores, weights, first, start } = trace[at - 1];
  const [score, weight] = [scores[row - first][column - start], weights[row - first][column - start]];
  if (causal && column > row) return `${name}: in its future, masked; it counts as nothing.`;
  if (at > step) return `${name} is not computed yet: its tile is step ${at}.`;
  if (at < step) return `${name} was ${short(score)} in step ${at}: used, and forgotten.`;
  return `${name} is ${short(score)}, and exp(s − m) = ${short(weight)}: in fast memory, for this step.`;
}

/** Bytes in fast memory beside all scores. @param {State} state */
export function heldInWords({ memory, N, query_rows, key_columns }) {
  const tile = `A tile of ${query_rows} × ${key_columns} needs ${bytes(memory.held)} of fast memory, however long the text`;
  return `${tile}; all ${grouped(N * N)} scores alone would need ${bytes(memory.scores)}.`;
}

/** Bytes that have been moved, and would be. @param {State} state */
export function movedInWords({ memory, step, last }) {
  const { read, written, moved, movedInFull } = memory;
  const far = step === last ? "in all" : "so far";
  const end = step === last ? "" : ` At the end ${bytes(moved)} are moved;`;
  const other = `with all scores in slow memory ${step === last ? "it would be" : "it is"} ${bytes(movedInFull)}.`;
  return `Moved ${far}: ${bytes(read)} read, ${bytes(written)} written.${end} ${step === last ? other[0].toUpperCase() + other.slice(1) : other}`;
}

export const IGNORED =
  "Counted at 4 bytes a number. Left out: blocks fetched while others are computed, caches in between, what a backward pass keeps.";

/** @param {State} state */
export function pictureName({ N, step, last, present }) {
  const at = present ? placeInWords(present) : "nothing is read yet";
  return `Slow memory: Q, K, V and O of ${plural(N, "token")} around the scores, which are never stored. Step ${step} of ${last}: ${at}`;
}

/** Every step, and what the query that is read keeps after it. @param {State} state */
export function stepsTable({ trace, row, quoted, step, memory }) {
  const rows = trace.map((one, i) => {
    const mine = one.first <= row && row < one.end ? one.running[row - one.first] : null;
    const kept = mine
      ? [short(mine.largest), short(mine.shrink), short(mine.total), vector(mine.summed)]
      : Array(4).fill("");
    const [read, written] = [one.read, one.written].map((count) => grouped(BYTES * count));
    return [`${i + 1}${i + 1 === step ? " (now)" : ""}`, placeInWords(one), ...kept, read, written];
  });
  return table({
    caption: `Every step; largest, shrink, total and summed are those of “${quoted[row]}”. In all ${bytes(memory.moved)} are moved`,
    corner: "step",
    columns: ["place", "largest m", "shrink", "total l", "summed o", "bytes read", "bytes written"],
    rows,
  });
}

/** @param {State} state */
export function memoryTable({ memory }) {
  const lengths = [16, 256, 4096, 65536, 131072];
  return table({
    caption: "Memory as texts grow",
    corner: "tokens",
    columns: ["all scores", "one tile"],
    rows: lengths.map((n) => [grouped(n), amount(BYTES * n * n, "B"), amount(memory.held, "B")]),
  });
}

/** The chart in one line, at a length. @param {State} state @param {number} tokens */
export const lengthInWords = ({ memory }, tokens) =>
  `${grouped(tokens)} token${tokens === 1 ? "" : "s"}: all scores ${amount(BYTES * tokens * tokens, "B")}, one tile ${amount(memory.held, "B")}`;
