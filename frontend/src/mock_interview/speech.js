// @ts-check
// What is said in words.

import { plural } from "../shared/numbers.js";

/** @typedef {import("./traits.js").Question} Question */
/** @typedef {import("./state.js").Score} Score */

export const TYPED = "Type it, or say it aloud";
export const BACK = "← Back";
export const ON = "Next →";
export const SCORES = "Points said, by dimension";
export const AGAIN = "Read again";
export const ALL_SAID = "Every point that was shown was said: nothing to read again.";
export const WHERE_KEPT = "Kept in a small file on this computer and in this browser, and sent nowhere.";
export const WHERE_KEPT_HERE = "Kept in this browser, and sent nowhere.";

/**
 * @param {number} at from 0
 * @param {Question[]} questions
 */
export const heading = (at, questions) => `Question ${at + 1} of ${questions.length} · ${questions[at].dimension}`;

/**
 * The button that shows the points: they stay hidden until an answer was given.
 * @param {string} typed
 */
export const show = (typed) => (typed.trim() ? "Show the points" : "I have said it aloud: show the points");

/** @param {number} points */
export const whichSaid = (points) => `Which of these ${points} points did you say, in your own words?`;

/**
 * A mark of the row above: what it stands for.
 * @param {number} at
 * @param {Question} question
 * @param {number[] | null} ticks
 */
export const mark = (at, { dimension, points }, ticks) =>
  `Question ${at + 1}, ${dimension}, ${ticks ? `${ticks.length} of ${points.length} points said` : "not answered yet"}`;

/**
 * @param {number} answered
 * @param {number} all
 * @param {Score[]} scores
 */
export function status(answered, all, scores) {
  const said = scores.reduce((sum, row) => sum + row.said, 0);
  const of = scores.reduce((sum, row) => sum + row.of, 0);
  return `${answered} of ${plural(all, "question")} answered${answered ? `, ${said} of ${plural(of, "point")} said` : ""}`;
}

/**
 * @param {Score} score
 */
export const score = ({ said, of, asked, questions }) =>
  asked ? `${said} of ${of}` : `${plural(questions, "question")} open`;

/**
 * @param {{ place: string, points: number }} row
 */
export const missedPoints = ({ points }) => plural(points, "point");
