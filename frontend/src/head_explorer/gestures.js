// @ts-check
// Pointing and keys on the maps, the lines and the overview. They only set traits.

import { pointing } from "../shared/pointing.js";
import { placeAt } from "./layout.js";
import { togglePin } from "./maths.js";
import { wordAt } from "./other_layouts.js";
import { brightest, hoveredCell, mapOf } from "./state.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {import("./paint.js").Sheet} Sheet
 * @typedef {import("./controls.js").Change} Change
 */

const FINGER = 14; // px; smaller cells cannot be told apart with a fingertip: its second tap may miss the first one's

/**
 * What lies under a point of the stage: a map, or a word beside the lines.
 * @param {Stage} stage
 * @param {{ clientX: number, clientY: number }} spot
 */
function underneath({ node, present }, { clientX, clientY }) {
  if (!present) return null;
  const box = node.getBoundingClientRect();
  const [x, y] = [clientX - box.left, clientY - box.top];
  const { places, lines } = present.layout;
  const map = placeAt(places, present.n, present.s, x, y);
  const word = !map && lines ? wordAt(lines, present.n, present.s, x, y) : null;
  return map || word ? { sheet: present, map, word } : null;
}

/**
 * The cell that is read at a word beside the lines: where its weight, or what comes to it, is largest.
 * @param {Sheet} sheet
 * @param {number} head
 * @param {{ side: "query" | "key", row: number }} word
 */
function strongest(sheet, head, { side, row }) {
  const map = mapOf(sheet, head);
  const others = side === "query" ? sheet.s : sheet.n;
  const weight = (/** @type {number} */ i) => (side === "query" ? map[row * sheet.s + i] : map[i * sheet.s + row]);
  let most = 0;
  for (let i = 1; i < others; i++) if (weight(i) > weight(most)) most = i;
  const [query, key] = side === "query" ? [row, most] : [most, row];
  return [head, sheet.asking[query], sheet.seen[key]];
}

/**
 * Mouse, finger and pen.
 * @param {Stage} stage
 * @param {Get} get
 * @param {Change} change
 * @param {() => void} moved is called when what only a pointer says has changed
 */
export function pointAt(stage, get, change, moved) {
  /**
   * @param {number | null} head
   * @param {number[]} cell
   * @param {"query" | "key"} [side]
   */
  const point = (head, cell, side = "query") => {
    const other = stage.pointed.head !== head || stage.pointed.side !== side;
    stage.pointed = { head, side };
    if (String(cell) !== String(get("hovered"))) change({ hovered: cell });
    else if (other) moved();
  };
  return pointing(stage.node, {
    read(spot) {
      const found = underneath(stage, spot);
      stage.node.style.cursor = found?.map ? "pointer" : "default";
      if (!found) {
        point(null, []);
        return null;
      }
      const { sheet, map, word } = found;
      if (word) {
        point(null, strongest(sheet, get("head"), word), word.side);
        return `${word.side} ${word.row}`;
      }
      if (!map) return null;
      const { place, head, query, key } = map;
      if (sheet.layers > 1) point(head, []);
      else point(null, query >= 0 ? brightest(sheet, map, place.pool) : []);
      const fine = place.cell >= FINGER && sheet.layers === 1;
      return `${head} ${place.large} ${fine ? `${query} ${key}` : ""}`;
    },
    pin(spot) {
      const found = underneath(stage, spot)?.map;
      if (!found || found.place.less !== undefined) return;
      const columns = get("num_heads");
      if (get("view") === "overview") {
        enter(Math.floor(found.head / columns), found.head % columns, stage, change);
      } else if (get("view") === "lines") {
        change({ head: found.head });
      } else {
        change({ head: found.head, pinned: togglePin(get("pinned"), found.head), hovered: [] });
      }
    },
    clear: () => point(null, []),
  });
}

/**
 * From the overview to the maps of a layer, one of its heads enlarged.
 * @param {number} layer
 * @param {number} head
 * @param {Stage} stage
 * @param {Change} change
 */
function enter(layer, head, stage, change) {
  stage.pointed = { head: null, side: "query" };
  change({ view: "maps", layer, head, pinned: [head], hovered: [] });
}

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Arrow keys choose a head, with Shift a cell; Enter enlarges or enters; Escape clears.
 * @param {KeyboardEvent} event
 * @param {Stage} stage
 * @param {Get} get
 * @param {Change} change
 */
export function pressed(event, stage, get, change) {
  const sheet = stage.present;
  if (!sheet) return;
  const step = STEPS[event.key];
  const [head, last] = [get("head"), get("num_heads") - 1];
  const overview = sheet.layers > 1;
  if (event.shiftKey && step) {
    if (!overview) change({ hovered: steppedCell(sheet, get, step) });
  } else if (step && overview) {
    const layer = Math.max(0, Math.min(sheet.layers - 1, get("layer") + step[0]));
    change({ layer, head: Math.max(0, Math.min(last, head + step[1])) });
  } else if (step || event.key === "Home" || event.key === "End") {
    const next = step ? head + step[0] * sheet.layout.columns + step[1] : event.key === "Home" ? 0 : last;
    const kept = hoveredCell(sheet, get("hovered")) ? [next, ...get("hovered").slice(1)] : [];
    if (next >= 0 && next <= last) change({ head: next, hovered: kept });
  } else if (event.key === "Enter" || event.key === " ") {
    if (overview) enter(get("layer"), head, stage, change);
    else if (get("view") === "maps") change({ pinned: togglePin(get("pinned"), head) });
  } else if (event.key === "Escape") {
    change({ pinned: [], hovered: [] });
  } else {
    return;
  }
  event.preventDefault();
}

/**
 * The cell beside the one that is read, in the current head.
 * @param {Sheet} sheet
 * @param {Get} get
 * @param {[number, number]} step
 */
function steppedCell(sheet, get, step) {
  const cell = hoveredCell(sheet, get("hovered"));
  const at = (/** @type {number[]} */ places, /** @type {0 | 1} */ axis) =>
    places[cell ? Math.max(0, Math.min(places.length - 1, cell[axis + 1] + step[axis])) : 0];
  return [get("head"), at(sheet.asking, 0), at(sheet.seen, 1)];
}
