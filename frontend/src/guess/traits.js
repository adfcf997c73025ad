// @ts-check
// The state that the page shares with Python (mha_lab/widgets/guess.py says what each trait means).

/**
 * @typedef Traits
 * @property {string} key
 * @property {string} question
 * @property {string[]} choices empty where the answer is typed
 * @property {string} answer "" where nobody has answered
 * @property {[number, string][]} _colours what every explorer is given; this one paints nothing
 * @property {boolean} _seen whether the learner has met the right answer, which is not in the page
 */

/** @typedef {import("../shared/traits.js").Model<Traits>} Model */
