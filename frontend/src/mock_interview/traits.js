// @ts-check
// The state that the page shares with Python (mha_lab/widgets/mock_interview.py says what each trait means).

/**
 * @typedef {{ text: string, place: string, link: string }} Point a sentence of the answer, and the section that shows it
 * @typedef {{ key: string, dimension: string, asks: string, points: Point[] }} Question
 * @typedef {Record<string, string>} Said by the question's key, what was typed
 * @typedef {Record<string, number[]>} Ticked by the question's key, the points that were said; a question whose points were not shown has no entry
 */

/**
 * @typedef Traits
 * @property {Question[]} questions
 * @property {number} at the question that is shown, from 0
 * @property {Said} said
 * @property {Ticked} ticked
 * @property {string} _since when Python last forgot something
 * @property {[number, string][]} _colours what every explorer is given; this one paints nothing
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
