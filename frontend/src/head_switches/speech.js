// @ts-check
// What is said in words.

import { plural } from "../shared/numbers.js";
import { isolated, shownWords } from "../shared/words.js";
import { keyOf, mostMoved, moved } from "./state.js";

/** @typedef {import("./state.js").Given} Given */
/** @typedef {import("./state.js").Pair} Pair */
/** @typedef {import("./traits.js").Head} Head */

export const FEW = 16; // heads in a row for which a switch has room for numbers

/**
 * Two decimals, with a true minus sign; "–" for what there is not.
 * @param {number | undefined} number
 */
export function short(number) {
  if (number === undefined) return "–";
  return number
    .toFixed(2)
    .replace(/^-0\.00$/, "0.00")
    .replace("-", "−");
}

/**
 * A difference with its sign: "+0.12".
 * @param {number} by
 */
export const change = (by) => (by > 0 ? "+" : "") + short(by);

/**
 * A name with its white space visible.
 * @param {string} name
 */
export const visible = (name) => shownWords([name])[0];

/**
 * A head's name: its layer is left out where there is only one.
 * @param {Given} fixed
 * @param {Head} head
 */
export const nameOf = ({ L }, [layer, head]) => (L === 1 ? String(head) : `${layer}.${head}`);

/**
 * What a switch is, in parts: its place, its label, and what it does alone.
 * @param {Given} fixed
 * @param {Head} head
 * @param {number | null} alone
 */
export function switchInWords({ labels }, head, alone) {
  const effect = alone === null ? "" : `alone off, it moves a prediction by ${short(alone)}`;
  return [`layer ${head[0]}, head ${head[1]}`, labels.get(keyOf([head])), effect].filter(Boolean);
}

/** @param {Given} fixed */
export function legend({ alone, H }) {
  const numbers = " The small number: how far the head moves a prediction when it alone is off.";
  return `Arrow keys go from head to head, Space switches, Esc: all on.${alone && H <= FEW ? numbers : ""}`;
}

/**
 * The heads that are off and what they did, in one line.
 * @param {Given} fixed
 * @param {Head[]} off
 * @param {Pair[] | null} pairs null while nothing is known
 */
export function headline(fixed, off, pairs) {
  const which = whichAreOff(fixed, off);
  if (!pairs || !off.length) return `${which}.`;
  const most = mostMoved(pairs);
  if (!most) return `${which}. No prediction moves.`;
  const apart = (/** @type {string} */ text) => isolated(visible(text));
  const place = most.example ? `${apart(most.example)}, ` : "";
  return `${which}. Most moved: ${place}${apart(most.name)}, ${short(most.before)} → ${short(most.now)}.`;
}

/** @param {Given} fixed @param {Head[]} off */
function whichAreOff(fixed, off) {
  const { L, H, labels } = fixed;
  const all = plural(L * H, "head");
  if (!off.length) return `All ${all} on`;
  if (off.length === L * H) return `All ${all} off`;
  if (off.length > 6) return `${off.length} of ${all} off`;
  const called = (/** @type {Head} */ head) => {
    const label = labels.get(keyOf([head]));
    return nameOf(fixed, head) + (label ? ` (${label})` : "");
  };
  return `Off: ${off.length === 1 ? "head" : "heads"} ${off.map(called).join(", ")}`;
}

/**
 * How far a pair moved, or nothing while that is not known.
 * @param {Pair} pair
 */
export const changeOf = (pair) => (pair.now === undefined ? "" : change(moved(pair)));

/**
 * What keeps an answer away.
 * @param {Given} fixed
 */
export function silence({ alone }) {
  const still = `all heads on${alone ? ", each head alone off" : ""}, and what was shown before`;
  return {
    soon: "Waiting for Python …",
    late: `Python has not answered: it is busy, or its kernel is gone; then run this cell again. Without it there are ${still}.`,
    gone: `The kernel was restarted or is gone: run this cell again. Without it there are ${still}.`,
    none: `Only Python can predict this, and this page has none. It still shows ${still}.`,
  };
}
