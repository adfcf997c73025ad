// @ts-check
// The state that the page shares with Python (mha_lab/widgets/true_or_false.py says what each trait means).

/**
 * @typedef {{ key: string, text: string, lesson: string }} Statement
 * @typedef {Record<string, boolean>} Answers by the statement's key; which are right is not in the page
 */

/**
 * @typedef Traits
 * @property {Statement[]} _statements
 * @property {Answers} answers
 * @property {string} _since when Python last forgot something
 * @property {boolean} again whether the statements are asked again, at the end of the course
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
