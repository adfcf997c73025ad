// @ts-check
// What is said in words: the arithmetic of a stage for one key, and of the sum over heads for one feature.

import { allPrecise, bracket, precise, share, short, written } from "./figures.js";

export const STAGES = ["1 q·k", "2 scale", "3 mask", "4 softmax", "5 weight · v", "6 W^O"];
export const TOO_WIDE = "↔ The table is wider than the page: scroll it sideways.";
const MOST_TERMS = 8; // of a dot product that is written out
const MOST_POWERS = 4; // of a softmax's sum
const MOST_HEADS = 6; // of a sum over heads

/**
 * @typedef Facts of one key: q, k and v are its vectors, `now` the head's stages
 * @property {number[]} q
 * @property {number[]} k
 * @property {number[]} v
 * @property {number} j
 * @property {number} width
 * @property {number} temperature
 * @property {string[]} words
 * @property {number} row
 * @property {import("./maths.js").Stages} now
 */

/**
 * The temperature in words. Scores of random queries and keys spread by √d (lesson 01); divided by √d_head · T they spread
 * by 1/T: as far as unscaled scores do where d_head is 1/T².
 * @param {number} T
 */
export function temperatureWords(T) {
  const d = 1 / T ** 2;
  const spread = `spread of an unscaled d_head ${Number(d.toFixed(d < 10 ? 1 : 0))}`;
  return `T = ${Number(T.toPrecision(3))} · ${T < 0.99 ? spread : T > 1.01 ? "flatter" : "as published"}`;
}

/** @param {boolean} adding */
export const framesName = (adding) =>
  `numbers; up and down: ${adding ? "head" : "key"}, left and right: ${adding ? "feature" : "stage"}`;

/** @param {boolean} adding */
export const tablesName = (adding) =>
  adding ? "what each head adds to the output" : "each key's numbers, stage by stage";

/** The line below the weights. @param {import("./maths.js").Stages} now */
export function sumInWords({ allowed, entropy, weights }) {
  const seen = allowed.filter(Boolean).length;
  if (!seen) return "nothing to look at: sum 0";
  const spread = `entropy ${entropy.toFixed(2)} of ${Math.log(seen).toFixed(2)} nats`;
  return `sum 1 · largest ${share(Math.max(...weights))} · ${spread}`;
}

/**
 * The arithmetic of one stage for one key.
 * @param {number} stage 1 … 5
 * @param {Facts} facts
 */
export function explain(stage, facts) {
  const { words, row, j, now, q, k } = facts;
  const pair = `${words[row]} → ${words[j]}: `;
  if (stage > 2 && !now.allowed[j]) return `${pair}masked: score −∞, and e^−∞ = 0, so its weight is 0`;
  if (stage === 1) return `${pair}q·k = ${dotProduct(q, k, now.scores[j])}`;
  if (stage === 2) return pair + scaling(facts);
  if (stage === 3) return `${pair}may look: the score stays ${short(now.scaled[j])}`;
  return pair + (stage === 4 ? softening(facts) : weighting(facts));
}

/**
 * a · b = result.
 * @param {number[]} a
 * @param {number[]} b
 * @param {number} result
 */
function dotProduct(a, b, result) {
  if (a.length > MOST_TERMS) return `a sum of ${a.length} products = ${short(result)}`;
  const dot = (/** @type {number[]} */ numbers) => [
    a.reduce((total, _, i) => total + numbers[i] * numbers[a.length + i], 0),
  ];
  const { shown, goal, sign } = written(allPrecise([...a, ...b]), dot, [result]);
  const terms = a.map((_, i) => `${bracket(shown[i])}·${bracket(shown[a.length + i])}`);
  return `${terms.join(" + ")} ${sign} ${goal}`;
}

/** score / √d. @param {Facts} facts */
function scaling({ width, temperature, now, j }) {
  const heat = temperature === 1 ? [] : [temperature];
  const divided = (/** @type {number[]} */ [score, T = 1]) => [score / (Math.sqrt(width) * T)];
  const { shown, goal, sign } = written(allPrecise([now.scores[j], ...heat]), divided, [now.scaled[j]]);
  const divisor = heat.length ? `(√${width} · ${shown[1]})` : `√${width}`;
  return `${shown[0]} / ${divisor} ${sign} ${goal}`;
}

/** e^score / sum of all. @param {Facts} facts */
function softening({ now, j }) {
  const { scaled, allowed, weights } = now;
  const seen = scaled.filter((_, i) => allowed[i]);
  const sum = seen.reduce((total, score) => total + Math.exp(score), 0);
  if (!(sum > 1e-3 && sum < 1000)) return `e^${short(scaled[j])} is ${share(weights[j])} of the sum of all`;
  const power = Math.exp(scaled[j]);
  const ratio = written(allPrecise([power, sum]), ([a, b]) => [a / b], [weights[j]], share);
  const few = seen.length > MOST_POWERS ? [] : seen;
  const powers = (/** @type {number[]} */ [score, ...all]) => [
    Math.exp(score),
    few.length ? all.reduce((total, other) => total + Math.exp(other), 0) : sum,
  ];
  const asInRatio = (/** @type {number} */ number) => precise(number, ratio.more);
  const { shown, sign } = written(allPrecise([scaled[j], ...few]), powers, [power, sum], asInRatio);
  const terms = shown.slice(1).map((score) => `e^${score}`);
  const whole = few.length ? `(${terms.join(" + ")})` : `sum of ${seen.length} powers`;
  return `e^${shown[0]} / ${whole} ${sign} ${ratio.shown.join(" / ")} ${ratio.sign} ${ratio.goal}`;
}

/** weight · value. @param {Facts} facts */
function weighting({ now, v, j }) {
  const weight = now.weights[j];
  if (v.length > MOST_TERMS) return `${share(weight)} · each of its ${v.length} numbers; these add up to the output`;
  const scaled = (/** @type {number[]} */ [by, ...numbers]) => numbers.map((number) => by * number);
  const figures = (/** @type {number} */ more) => [weight.toFixed(3 + more), ...allPrecise(v)(more)]; // a weight has three at least
  const { shown, goal, sign } = written(figures, scaled, now.terms[j]);
  const [by, ...numbers] = shown;
  return `${by} · [${numbers.join(", ")}] ${sign} [${goal.join(", ")}]; these add up to the output`;
}

/**
 * One feature of stage 6: what the head adds to it (output · its column of the head's rows), and all heads' sum.
 * @param {{ feature: number, name: string, word: string, head: number, output: number[], column: number[], shares: number[][], total: number[] }} facts
 */
export function explainSum({ feature, name, word, head, output, column, shares, total }) {
  const place = `${(/^\d+$/.test(name) ? "feature " : "") + name} at ${word}: `;
  const own = `head ${head} adds ${dotProduct(output, column, shares[head][feature])}`;
  if (shares.length === 1) return `${place}${own}, and that is the output`;
  if (shares.length > MOST_HEADS) return `${place}${own}; all ${shares.length} heads: ${short(total[feature])}`;
  const added = (/** @type {number[]} */ numbers) => [numbers.reduce((sum, number) => sum + number, 0)];
  const terms = shares.map((one) => one[feature]);
  const { shown, goal, sign } = written(allPrecise(terms), added, [total[feature]]);
  const [first, ...others] = shown;
  return `${place}${own}; all heads: ${[first, ...others.map(bracket)].join(" + ")} ${sign} ${goal}`;
}
