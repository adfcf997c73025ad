// @ts-check
// What is derived from the traits: which heads are off, and how far that moved each prediction.

/** @typedef {import("./traits.js").Head} Head */
/** @typedef {import("./traits.js").Row} Row */
/** @typedef {{ example: string, name: string, now?: number, before?: number }} Pair now is missing while it is not known */

/**
 * What stays as it is, and what Python has said: `known` grows.
 * @param {import("./traits.js").Model} model
 */
export function given(model) {
  const [L, H] = [model.get("num_layers"), model.get("num_heads")];
  const known = new Map(model.get("_answers").map(([off, rows]) => [keyOf(off), rows]));
  return {
    L,
    H,
    heads: Array.from({ length: L * H }, (_, i) => /** @type {Head} */ ([Math.floor(i / H), i % H])),
    labels: new Map(model.get("_labels").map(([layer, head, words]) => [keyOf([[layer, head]]), words])),
    known,
    before: known.get("") ?? [],
    alone: known.size > 1, // whether each head was switched off alone beforehand
  };
}
/** @typedef {ReturnType<typeof given>} Given */

/**
 * Heads that are off as one text: what it was asked for tells an answer from a late one.
 * @param {Head[]} off
 */
export const keyOf = (off) => off.map(([layer, head]) => `${layer}.${head}`).join(" ");

/**
 * The heads that are off after one is switched, in order.
 * @param {Head[]} off
 * @param {Head} head
 */
export function switched(off, [layer, head]) {
  const rest = off.filter(([l, h]) => l !== layer || h !== head);
  if (rest.length === off.length) rest.push([layer, head]);
  return rest.sort(([l, h], [m, i]) => l - m || h - i);
}

/**
 * Predictions: those with all heads on, then those that are new.
 * @param {Row[] | undefined} rows
 * @param {Row[]} before
 * @returns {Pair[]}
 */
export function compared(rows, before) {
  const same =
    (/** @type {Row} */ [e, n]) =>
    (/** @type {Row} */ [example, name]) =>
      e === example && n === name;
  const all = [...before, ...(rows ?? []).filter((row) => !before.some(same(row)))];
  return all.map((row) => ({
    example: row[0],
    name: row[1],
    now: rows?.find(same(row))?.[2],
    before: before.find(same(row))?.[2],
  }));
}

/**
 * How far a prediction moved: the difference of the two numbers as they are shown. One that came or went moved by its whole size.
 * @param {{ now?: number, before?: number }} pair
 */
export const moved = ({ now = 0, before = 0 }) =>
  Number((Number(now.toFixed(2)) - Number(before.toFixed(2))).toFixed(2));

/**
 * The prediction that moved most, or null where none moved.
 * @param {Pair[]} pairs
 */
export function mostMoved(pairs) {
  const most = pairs.reduce((best, pair) => (Math.abs(moved(pair)) > Math.abs(moved(best)) ? pair : best), pairs[0]);
  return most && moved(most) !== 0 ? most : null;
}

/**
 * How far a head moves a prediction when it alone is off; null where that was not tried.
 * @param {Given} fixed
 * @param {Head} head
 */
export function movedAlone({ alone, known, before }, head) {
  if (!alone) return null;
  const most = mostMoved(compared(known.get(keyOf([head])), before));
  return most ? Math.abs(moved(most)) : 0;
}

/**
 * Ends of the axis: 0 to 1 for what can be probabilities, otherwise from the smallest number to the largest, 0 among them.
 * @param {number[]} numbers
 */
export function axis(numbers) {
  const [low, high] = [Math.min(0, ...numbers), Math.max(0, ...numbers)];
  return low === 0 && high <= 1 ? [0, 1] : [low, high];
}
