// @ts-check
// Pointing and keys on the maps. They only set traits.

import { pointing } from "../shared/pointing.js";
import { placeAt } from "./layout.js";
import { togglePin } from "./maths.js";
import { brightest, hoveredCell } from "./state.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./paint.js").Sheet} Sheet
 * @typedef {import("./controls.js").Change} Change
 */

const FINGER = 14; // px; smaller cells cannot be told apart with a fingertip: its second tap may miss the first one's

/**
 * Mouse, finger and pen.
 * @param {HTMLElement} stage
 * @param {() => Sheet | null} present
 * @param {Get} get
 * @param {Change} change
 */
export function pointAtMaps(stage, present, get, change) {
  /** @param {{ clientX: number, clientY: number }} spot */
  const find = ({ clientX, clientY }) => {
    const sheet = present();
    const box = stage.getBoundingClientRect();
    return sheet && placeAt(sheet.layout.places, sheet.n, sheet.s, clientX - box.left, clientY - box.top);
  };
  return pointing(stage, {
    read(spot) {
      const found = find(spot);
      const sheet = present();
      const cell = found && sheet && found.query >= 0 ? brightest(sheet, found, found.place.pool) : [];
      stage.style.cursor = found ? "pointer" : "default";
      if (String(cell) !== String(get("hovered"))) change({ hovered: cell });
      if (!found) return null;
      const { place, head, query, key } = found;
      return place.cell < FINGER ? `${head} ${place.large}` : `${head} ${place.large} ${query} ${key}`;
    },
    pin(spot) {
      const found = find(spot);
      if (!found || found.place.less !== undefined) return;
      change({ head: found.head, pinned: togglePin(get("pinned"), found.head), hovered: [] });
    },
    clear() {
      if (get("hovered").length) change({ hovered: [] });
    },
  });
}

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Arrow keys choose a head, with Shift a cell; Enter enlarges; Escape clears.
 * @param {HTMLElement} stage
 * @param {() => Sheet | null} present
 * @param {Get} get
 * @param {Change} change
 */
export function keysOnMaps(stage, present, get, change) {
  stage.onkeydown = (event) => {
    const sheet = present();
    if (!sheet) return;
    const [head, step] = [get("head"), STEPS[event.key]];
    const cell = hoveredCell(sheet, get("hovered"));
    const ends = /** @type {Record<string, number>} */ ({ Home: -head, End: sheet.heads - 1 - head });
    if (event.shiftKey && step) {
      const at = (/** @type {number[]} */ places, /** @type {0 | 1} */ axis) =>
        places[cell ? Math.max(0, Math.min(places.length - 1, cell[axis + 1] + step[axis])) : 0];
      change({ hovered: [head, at(sheet.asking, 0), at(sheet.seen, 1)] });
    } else if (step || event.key in ends) {
      const next = head + (step ? step[0] * sheet.layout.columns + step[1] : ends[event.key]);
      const kept = cell ? [next, ...get("hovered").slice(1)] : [];
      if (next >= 0 && next < sheet.heads) change({ head: next, hovered: kept });
    } else if (["Enter", " "].includes(event.key)) {
      change({ pinned: togglePin(get("pinned"), head) });
    } else if (event.key === "Escape") {
      change({ pinned: [], hovered: [] });
    } else {
      return;
    }
    event.preventDefault();
  };
}
