// @ts-check
// What is derived from the traits: all steps, the present one, and the query that is read.

import { decoded } from "../shared/traits.js";
import { quoted, shownWords } from "../shared/words.js";
import { numbersHeld, numbersMovedInFull, stepsOf, traced } from "./maths.js";

/** @typedef {import("./traits.js").Chosen} Chosen */
/** @typedef {import("./maths.js").Step} Step */

export const BYTES = 4; // of a number: tiles are computed in 32 bits

/**
 * What stays as it is.
 * @param {import("./traits.js").Model} model
 */
export function given(model) {
  const floats = (/** @type {"_query" | "_key" | "_value"} */ name) =>
    decoded(model.get(name), Float32Array) ?? new Float32Array();
  const words = shownWords(model.get("tokens"));
  return {
    words,
    quoted: words.map(quoted),
    N: words.length,
    K: model.get("d_head"),
    V: model.get("d_value"),
    query: floats("_query"),
    key: floats("_key"),
    value: floats("_value"),
  };
}
/** @typedef {ReturnType<typeof given>} Given */

/**
 * @param {Given} fixed
 * @param {Chosen} chosen
 */
export function derived(fixed, chosen) {
  const { N } = fixed;
  const trace = traced(fixed, chosen);
  const step = Math.min(chosen.step, trace.length);
  const present = step ? trace[step - 1] : null;
  const [pointedRow, column] = chosen.pointed.length ? chosen.pointed : [-1, -1];
  const own = present ? present.end - 1 : 0; // with a mask the last query of a tile sees the most of it
  const row = [pointedRow, chosen.row].find((one) => one >= 0) ?? own;
  const end = trace[trace.length - 1];
  return {
    ...fixed,
    ...chosen,
    step,
    last: trace.length,
    trace,
    present,
    row, // the one that is read
    kept: chosen.row,
    column, // the one that is pointed at, -1 for none
    reach: Math.max(1e-9, ...trace.flatMap(({ scores }) => scores.flat().map(Math.abs)).filter(Number.isFinite)),
    memory: {
      now: BYTES * (present?.held ?? 0),
      held: BYTES * numbersHeld(chosen.query_rows, chosen.key_columns, fixed),
      scores: BYTES * N * N,
      read: BYTES * (present?.read ?? 0),
      written: BYTES * (present?.written ?? 0),
      moved: BYTES * (end.read + end.written),
      movedInFull: BYTES * numbersMovedInFull(N, fixed),
    },
  };
}
/** @typedef {ReturnType<typeof derived>} State */

/** Whether a score belongs to a step. @param {Step} step @param {number} i @param {number} j */
export const within = ({ first, end, start, stop }, i, j) => first <= i && i < end && start <= j && j < stop;

/**
 * The number of the step in which a score is computed; 0 where its tile is skipped.
 * @param {Pick<State, "trace">} state
 * @param {number} i
 * @param {number} j
 */
export const stepOf = ({ trace }, i, j) => trace.findIndex((step) => within(step, i, j)) + 1;

/**
 * The number of the step that writes the output of a query.
 * @param {Pick<State, "trace">} state
 * @param {number} i
 */
export const writtenAt = ({ trace }, i) =>
  trace.findIndex((step) => step.output && step.first <= i && i < step.end) + 1;

/**
 * The step of other tiles that is at the same place: that of the present tile's first score, or the next one of its rows.
 * @param {State} now
 * @param {Partial<Chosen>} changes
 */
export function samePlace({ N, present, query_rows, key_columns, causal }, changes) {
  if (!present) return 0;
  const steps = stepsOf(N, { query_rows, key_columns, causal, ...changes });
  const written = present.start === present.stop;
  const found = steps.findIndex(({ first, end, start, stop }) => {
    const none = start === stop;
    return first <= present.first && present.first < end && (written ? none : none || present.start < stop);
  });
  return found + 1;
}

/**
 * Every tile of the matrix and where it stands: skipped, waiting, present or forgotten.
 * @param {State} now
 */
export function tilesOf({ N, query_rows, key_columns, trace, step }) {
  const tiles = [];
  for (let first = 0; first < N; first += query_rows) {
    for (let start = 0; start < N; start += key_columns) {
      const at = stepOf({ trace }, first, start);
      const kind = !at ? "skipped" : at > step ? "waiting" : at === step ? "present" : "forgotten";
      const [end, stop] = [Math.min(first + query_rows, N), Math.min(start + key_columns, N)];
      tiles.push({ first, end, start, stop, kind });
    }
  }
  return tiles;
}
