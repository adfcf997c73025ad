// @ts-check
// What is on show in words: the read-out, what hidden words held, and the weights as tables.

import { percent, signed } from "../shared/numbers.js";
import { table } from "../shared/table.js";
import { quoted } from "../shared/words.js";
import { mapOf, rowOf } from "./state.js";

/**
 * @typedef {import("./state.js").Exact} Exact
 * @typedef {import("./state.js").Shown} Shown
 */

/**
 * What the read-out says of a cell.
 * @param {Shown} shown
 * @param {number[]} cell [head, row, column]
 * @param {number[]} pinned
 * @param {Exact | null} exact
 */
export function cellWords(shown, [head, query, key], pinned, exact) {
  const masked = shown.allowed !== null && !shown.allowed[query * shown.s + key];
  const { row, told } = rowOf(shown, head, query, exact);
  const number = (/** @type {number} */ value) => (told ? "" : "≈ ") + value.toFixed(2);
  const ofHead = (/** @type {number} */ pin) => rowOf(shown, pin, query, exact).row[key];
  const beside = pinned.filter((pin) => pin !== head).map((pin) => ` · head ${pin}: ${number(ofHead(pin))}`);
  if (pinned.length > 1) beside.push(` · ${pinned.join(" − ")}: ${signed(ofHead(pinned[0]) - ofHead(pinned[1]))}`);
  const sum = row.reduce((total, part) => total + part, 0);
  return {
    head: `head ${head}: `,
    query: shown.words[query],
    key: shown.keys[key],
    weight: masked ? "masked" : number(row[key]),
    precisely: masked ? "" : told ? row[key].toFixed(4) : "(8 bits)",
    beside: masked ? [] : beside,
    sum: `row sums to ${number(sum)}${told ? ` (${sum.toFixed(4)})` : ""}`,
  };
}

/**
 * What the read-out says while no cell is read.
 * @param {{ focused: boolean, head: number, pinned: number[], touch: boolean, view: string }} state
 */
export function idleWords({ focused, head, pinned, touch, view }) {
  const lines = view === "lines";
  if (focused)
    return `head ${head}: ${lines ? "arrows choose another" : "Enter enlarges it"}, Shift + arrows read cells`;
  const [point, click] = touch ? ["Tap", "Tap twice on"] : ["Point at", "Click"];
  if (lines) return `${point} a word to see its lines alone. ${click} another head to see its lines.`;
  const action = pinned.length
    ? `${click} a second head to compare; the same head again (or Esc) puts it back.`
    : `${click} a head to enlarge it.`;
  return `${point} a cell to read its weight. ${action}`;
}

/**
 * What the read-out says of a thumbnail in the overview: where the head looks most.
 * @param {Shown} shown
 * @param {number[] | null} at [layer, head]
 * @param {boolean} touch
 */
export function thumbnailWords(shown, at, touch) {
  const [point, click] = touch ? ["tap one", "tap it twice"] : ["point at one", "click"];
  if (!at) return `All layers and heads: ${point} to read where it looks, ${click} to enter it.`;
  const [layer, head] = at;
  const map = mapOf(shown, (layer * shown.heads) / shown.layers + head);
  const sums = shown.keys.map((_, j) => shown.words.reduce((sum, _, i) => sum + map[i * shown.s + j], 0));
  const total = sums.reduce((a, b) => a + b, 0) || 1;
  const most = sums.indexOf(Math.max(...sums));
  const share = percent(sums[most] / total);
  return `layer ${layer}, head ${head}: ${share} of its weight lies on ${quoted(shown.keys[most])}, the most of all words`;
}

/**
 * What the hidden words held; null as long as it is not known.
 * @param {Shown} shown
 * @param {string[]} hidden
 * @param {number[]} pinned
 */
export function hiddenWords({ all, held, heads }, hidden, pinned) {
  if (!held) return "";
  if (held.length < heads) return null;
  const mean = `${percent(held.reduce((a, b) => a + b) / heads)} of the weight, on average over ${heads} heads`;
  const pins = pinned.map((head) => `${percent(held[head])} of head ${head}'s weight`);
  const names = all.keys.filter((word) => hidden.includes(word));
  const they = names.length > 1 ? "they" : "it";
  return `${names.map(quoted).join(", ")} hidden: ${they} held ${pins.join(" and ") || mean}. Rows are divided by what is left, to sum to 1 again.`;
}

/**
 * The weights of heads as tables; of a long sentence the row that is read.
 * @param {Shown} shown
 * @param {number[]} heads
 * @param {number[] | null} cell
 * @param {Exact | null} exact
 */
export function tables(shown, heads, cell, exact) {
  const rows = shown.all.small ? [...shown.words.keys()] : [cell ? cell[1] : 0];
  return heads.map((head) =>
    table({
      caption: `head ${head}: row → column${shown.told ? "" : " (8 bits)"}`,
      columns: shown.keys.map(quoted),
      rows: rows.map((i) => {
        const weights = [...rowOf(shown, head, i, exact).row];
        return [quoted(shown.words[i]), ...weights.map((weight) => weight.toFixed(2))];
      }),
    }),
  );
}
