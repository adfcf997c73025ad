// @ts-check
// Where keys lead.

/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

/**
 * Where a radio group goes with an arrow key: the place beside `at` of `count`, or null where the key or the place is none.
 * @param {KeyboardEvent} event
 * @param {number} at
 * @param {number} count
 */
export function stepped(event, at, count) {
  const next = at + STEPS[event.key]; // NaN for another key
  return next >= 0 && next < count ? next : null;
}

/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Where a grid goes with an arrow key, Home or End (the ends of a row): [row, column], or null where the key is none.
 * @param {KeyboardEvent} event
 * @param {[number, number]} at
 * @param {[number, number]} size rows and columns
 * @returns {[number, number] | null}
 */
export function steppedInGrid(event, [row, column], [rows, columns]) {
  if (event.key === "Home") return [row, 0];
  if (event.key === "End") return [row, columns - 1];
  const move = MOVES[event.key];
  if (!move) return null;
  const kept = (/** @type {number} */ place, /** @type {number} */ count) => Math.max(0, Math.min(count - 1, place));
  return [kept(row + move[0], rows), kept(column + move[1], columns)];
}

/**
 * The arrow keys walk through a row of buttons, of which one at a time is reached by Tab.
 * @param {HTMLElement} row
 */
export function walkable(row) {
  row.addEventListener("keydown", (event) => {
    const buttons = /** @type {HTMLElement[]} */ ([...row.children]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const next = at < 0 ? null : stepped(event, at, buttons.length);
    if (next === null) return;
    event.preventDefault();
    [buttons[at].tabIndex, buttons[next].tabIndex] = [-1, 0];
    buttons[next].focus();
  });
}
