// @ts-check
// What is said in words.

import { quoted } from "../shared/words.js";

/** @typedef {import("./state.js").State} State */

export const NUMBERS = "what each head adds: arrow keys choose a feature";

/**
 * A number in few characters, with a true minus sign; 0 for what would be shown as 0.00.
 * @param {number} value
 */
export function short(value) {
  if (Math.abs(value) < 5e-3) return "0";
  return String(Number(value.toFixed(2))).replace("-", "−");
}

/** @param {Pick<State, "active" | "H" | "missing">} state */
export function status({ active, H, missing }) {
  const whole = active.length === H;
  const state = whole ? "the sum is the output" : `${Math.round(100 * missing)}% of the output is missing`;
  return `${active.length} of ${H} on: ${state}`;
}

/** @param {Pick<State, "active">} state */
export const sumName = ({ active }) => `sum of ${active.length} head${active.length === 1 ? "" : "s"}`;

/**
 * One feature's sum: "room at it: −9 from head 0 + 5 from head 1 = −4". Heads that add nothing are left out.
 * @param {Pick<State, "feature" | "name" | "word" | "shares" | "sum" | "active">} state
 */
export function explain({ feature, name, word, shares, sum, active }) {
  const place = `${(/^\d+$/.test(name) ? "feature " : "") + quoted(name)} at ${quoted(word)}: `;
  const terms = active.map((h) => ({ h, text: short(shares[h][feature]) })).filter(({ text }) => text !== "0");
  if (!active.length) return `${place}no head is on, and a sum of nothing is 0`;
  if (!terms.length) return `${place}${active.length === 1 ? "this head adds" : "these heads add"} nothing here`;
  if (terms.length > 6) return `${place}a sum of ${terms.length} terms = ${short(sum[feature])}`;
  const list = terms.map(({ h, text }, i) => `${i && text.startsWith("−") ? `(${text})` : text} from head ${h}`);
  return `${place}${list.join(" + ")} = ${short(sum[feature])}`;
}
