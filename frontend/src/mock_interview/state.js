// @ts-check
// What follows from the traits: who was asked what, how many points were said, and which sections did not come up.

/** @typedef {import("./traits.js").Question} Question */
/** @typedef {import("./traits.js").Said} Said */
/** @typedef {import("./traits.js").Ticked} Ticked */
/** @typedef {{ said: Said, ticked: Ticked }} Kept */
/** @typedef {{ dimension: string, said: number, of: number, asked: number, questions: number }} Score */

export const STORED_UNDER = "mha-lab.mock-interview";
export const MOST_LETTERS = 2000; // of a typed answer, as in Python

/**
 * What was typed, as it is kept.
 * @param {string} typed
 */
export const tidied = (typed) => [...typed].slice(0, MOST_LETTERS).join("");

/**
 * The points of a question that are ticked, in their order; null where they were not shown yet.
 * @param {Question} question
 * @param {Ticked} ticked
 */
export const ticksOf = ({ key, points }, ticked) => ticked[key]?.filter((i) => i in points) ?? null;

/**
 * Ticks a point, or takes the tick away.
 * @param {Ticked} ticked
 * @param {string} key
 * @param {number} point
 * @param {boolean} on
 * @returns {Ticked}
 */
export function withTick(ticked, key, point, on) {
  const others = (ticked[key] ?? []).filter((i) => i !== point);
  return { ...ticked, [key]: on ? [...others, point].sort((a, b) => a - b) : others };
}

/**
 * How many questions were answered: their points were shown.
 * @param {Question[]} questions
 * @param {Ticked} ticked
 */
export const answered = (questions, ticked) => questions.filter(({ key }) => key in ticked).length;

/**
 * A row for each dimension, in the order in which the questions bring them: points said, of those that were shown.
 * @param {Question[]} questions
 * @param {Ticked} ticked
 * @returns {Score[]}
 */
export function scores(questions, ticked) {
  const rows = new Map(
    questions.map(({ dimension }) => [dimension, { dimension, said: 0, of: 0, asked: 0, questions: 0 }]),
  );
  for (const question of questions) {
    const row = /** @type {Score} */ (rows.get(question.dimension));
    const ticks = ticksOf(question, ticked);
    row.questions++;
    if (!ticks) continue;
    row.asked++;
    row.said += ticks.length;
    row.of += question.points.length;
  }
  return [...rows.values()];
}

/**
 * The sections of the points that were shown and not said, each once, the one that was missed most often first.
 * @param {Question[]} questions
 * @param {Ticked} ticked
 */
export function missed(questions, ticked) {
  /** @type {Map<string, { place: string, link: string, points: number }>} */
  const found = new Map();
  for (const question of questions) {
    const ticks = ticksOf(question, ticked);
    if (!ticks) continue;
    for (const [i, { place, link }] of question.points.entries()) {
      if (ticks.includes(i)) continue;
      const row = found.get(link) ?? { place, link, points: 0 };
      row.points++;
      found.set(link, row);
    }
  }
  return [...found.values()].sort((a, b) => b.points - a.points);
}

/**
 * What a stored text holds of answers to these questions; null where there is nothing to read.
 * @param {string | null} text
 * @param {Question[]} questions
 * @returns {Kept | null}
 */
export function readKept(text, questions) {
  try {
    const stored = JSON.parse(text ?? "null");
    if (!stored?.said && !stored?.ticked) return null;
    /** @type {Kept} */
    const kept = { said: {}, ticked: {} };
    for (const { key, points } of questions) {
      if (typeof stored.said?.[key] === "string" && stored.said[key]) kept.said[key] = tidied(stored.said[key]);
      if (Array.isArray(stored.ticked?.[key])) kept.ticked[key] = ticksIn(stored.ticked[key], points.length);
    }
    return kept;
  } catch {
    return null;
  }
}

/**
 * @param {unknown[]} stored
 * @param {number} points
 */
function ticksIn(stored, points) {
  return Array.from({ length: points }, (_, i) => i).filter((i) => stored.includes(i));
}

/**
 * What Python has, completed by what the browser kept while no kernel listened. Of two texts the longer one stays, so that
 * nothing typed is lost; of ticks Python's.
 * @param {Kept} python
 * @param {Kept | null} browser
 * @returns {Kept}
 */
export function joined(python, browser) {
  const said = { ...python.said };
  for (const [key, text] of Object.entries(browser?.said ?? {}))
    if (text.length > (said[key] ?? "").length) said[key] = text;
  return { said, ticked: { ...browser?.ticked, ...python.ticked } };
}

/**
 * Whether two say the same.
 * @param {Kept} a
 * @param {Kept} b
 */
export const same = (a, b) => flat(a) === flat(b);

/** @param {Kept} kept */
const flat = ({ said, ticked }) => JSON.stringify([Object.entries(said).sort(), Object.entries(ticked).sort()]);
