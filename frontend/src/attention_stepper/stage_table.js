// @ts-check
// Stages 1 to 5: a row for each key, a column for each stage.

import { element } from "../shared/dom.js";
import { largest, roundUp, share, short } from "./figures.js";
import { bar, part, vector } from "./paint.js";
import { sumInWords } from "./speech.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Given} Given */
/** @typedef {ReturnType<typeof scalesOf>} Scales */

/**
 * Up to which tightness a column's vectors are numbers, and how many numbers these may have then.
 * @typedef {(column: "key" | "value" | "terms") => number} Most
 */

/**
 * @param {Given} fixed
 * @param {State} now
 * @param {Most} most
 * @param {[number, string][]} colours
 */
export function stageTable(fixed, now, most, colours) {
  const scales = scalesOf(now);
  const body = fixed.words.map((word, j) => keyRow(word, j, { now, scales, most, colours }));
  return [head(fixed, now, scales), element("tbody", {}, ...body), foot(fixed, now, most)];
}

/** @param {State} now */
function scalesOf(now) {
  const reach = (/** @type {number[]} */ rows) => roundUp(largest(rows));
  return {
    scores: reach(now.scores),
    scaled: reach(now.scaled),
    masked: reach(now.scaled.filter((_, j) => now.allowed[j])),
    terms: largest(now.terms.flat()),
    keys: largest(now.k.flat()),
    values: largest(now.v.flat()),
  };
}

/** A stage that is not yet uncovered keeps its place. @param {State} now @param {number} stage */
const veil = (now, stage) => (now.stage >= stage ? "" : "mha-step-hidden");

/**
 * @param {Given} fixed
 * @param {State} now
 * @param {Scales} scales
 */
function head({ width }, now, scales) {
  const divisor = now.temperature === 1 ? `√${width}` : `(√${width} · T)`;
  /** @type {[string, Node | string, number][]} */
  const columns = [
    ["token", "", 0],
    ["key k", "", 0],
    ["q·k", axis(-scales.scores, scales.scores), 1],
    [`/ ${divisor}`, axis(-scales.scaled, scales.scaled), 2],
    ["mask", axis(-scales.masked, scales.masked), 3],
    ["softmax", axis(0, 1), 4],
    ["value v", "", 0],
    ["weight · v", "", 5],
  ];
  const cells = columns.map(([title, below, stage]) => {
    const badge = stage ? [element("i", {}, String(stage))] : [];
    const cell = element("th", { scope: "col" }, element("div", {}, ...badge, title), element("small", {}, below));
    if (stage === now.stage) cell.className = "mha-step-current";
    else if (stage > now.stage) cell.className = "mha-step-later";
    return cell;
  });
  return element("thead", {}, element("tr", {}, ...cells));
}

/**
 * The ends of a column's own scale, and 0 where it lies between them.
 * @param {number} from
 * @param {number} to
 */
function axis(from, to) {
  const ends = from < 0 ? [short(from), "0", short(to)] : ["0", short(to)];
  return part("axis", "span", {}, ...ends.map((end) => element("span", {}, end)));
}

/**
 * @param {string} word
 * @param {number} j
 * @param {{ now: State, scales: Scales, most: Most, colours: [number, string][] }} look
 */
function keyRow(word, j, { now, scales, most, colours }) {
  const hatched = now.allowed[j] ? "" : "mha-step-masked";
  const cell = (/** @type {string} */ role, /** @type {number} */ stage, /** @type {Node} */ content) =>
    element("td", { className: `mha-step-vector mha-step-${role} ${veil(now, stage)}` }, content);
  const score = (/** @type {number} */ number, /** @type {number} */ reach, /** @type {number} */ stage) =>
    bar({ number, from: -reach, to: reach, text: short(number), classes: veil(now, stage), colours });
  const masked = () => bar({ number: 0, from: -1, to: 1, text: "−∞", classes: `${hatched} ${veil(now, 3)}`, colours });
  const [number, classes] = [now.weights[j], `${hatched} ${veil(now, 4)}`];
  return element(
    "tr",
    { "data-key": j },
    element("th", { scope: "row", title: word }, word),
    cell("key", 0, vector(now.k[j], scales.keys, most("key"))),
    score(now.scores[j], scales.scores, 1),
    score(now.scaled[j], scales.scaled, 2),
    hatched ? masked() : score(now.scaled[j], scales.masked, 3),
    bar({ number, from: 0, to: 1, text: share(number), classes, colours }),
    cell("value", 0, vector(now.v[j], scales.values, most("value"))),
    cell("value", 5, vector(now.terms[j], scales.terms, most("terms"))),
  );
}

/**
 * @param {Given} fixed
 * @param {State} now
 * @param {Most} most
 */
function foot({ D, H }, now, most) {
  const output = vector(now.output, largest(now.output), most("terms"));
  const cells = [
    element("th", { scope: "row", colSpan: 2 }, D || H > 1 ? `output of head ${now.head}` : "output = the sum"),
    element("td", { colSpan: 4, className: `mha-step-sum ${veil(now, 4)}` }, element("span", {}, sumInWords(now))),
    element("td"),
    element("td", { className: `mha-step-vector mha-step-output ${veil(now, 5)}` }, output),
  ];
  return element("tfoot", {}, element("tr", {}, ...cells));
}
