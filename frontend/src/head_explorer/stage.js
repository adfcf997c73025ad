// @ts-check
// The maps on the page: two canvases, the heads as a list for who does not see them, and when what is drawn.

import { colourTable, inks } from "../shared/colour.js";
import { element } from "../shared/dom.js";
import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { sized } from "./canvas.js";
import { headList } from "./head_list.js";
import { ROOM } from "./kept.js";
import { drawMarks } from "./marks.js";
import { drawMaps, growing } from "./paint.js";
import { part } from "./parts.js";
import { sheets } from "./sheets.js";
import { advance, dials, hoveredCell } from "./state.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./paint.js").Sheet} Sheet
 * @typedef {ReturnType<typeof import("./arrivals.js").inflation>} Inflation
 * @typedef {ReturnType<typeof import("./arrivals.js").exactWeights>} ExactWeights
 */

const SLICE = 4; // ms of a frame for computing maps, and as much for painting them; large ones fill up over several frames
const HIGHEST = 560; // px of most stages: to enlarge a canvas costs as much as to draw all maps
const NAME = "Heads: arrow keys choose one, Enter enlarges it, Shift and arrows read cells, Escape clears.";
const idle = window.requestIdleCallback ?? setTimeout; // Safari has none

/**
 * @param {{ root: HTMLElement, get: Get, inflation: Inflation, exact: ExactWeights, room: () => number,
 *   drawn: (sheet: Sheet) => void }} options room is the height that the maps may take; drawn is told of each drawing
 */
export function stageOf({ root, get, inflation, exact, room, drawn }) {
  const maps = element("canvas", { ariaHidden: "true" });
  const marks = element("canvas", { ariaHidden: "true" });
  const list = { tabIndex: 0, role: "listbox", ariaMultiSelectable: "true", ariaLabel: NAME };
  const node = part("stage", "div", list, maps, marks);
  const sheetOf = sheets(inflation, exact);
  const heads = headList(node);
  const [colours, diverging] = [colourTable(get("_colours")), colourTable(get("_differences"))];
  /** @type {Sheet | null} */
  let present = null;
  /** @type {Look | null} */
  let look = null;
  let [focused, limit] = [false, 0];

  const looks = () => ({
    width: node.clientWidth,
    ratio: devicePixelRatio,
    ink: inks(root, ["ink", "muted", "page", "line", "brand", "query", "key"]),
  });

  /**
   * The drawing of a state, after a slice more of work on it.
   * @param {Get} get
   * @param {Look} look
   */
  function worked(get, look) {
    const sheet = sheetOf(get, look, limit);
    const end = performance.now() + SLICE;
    if (growing(sheet)) {
      advance(sheet, end);
      drawMaps(sheet, look, end + SLICE);
    }
    return sheet;
  }

  function draw() {
    if (!node.clientWidth || inflation.waits(get)) return; // scrolled away: the observers call again
    limit = room();
    look = { ...looks(), stretch: get("stretch"), colours, diverging };
    present = worked(get, look);
    const { layout, canvas } = present;
    showCanvas(maps, canvas, look, layout.height);
    node.style.height = `${layout.height}px`;
    Object.assign(node, { places: layout.places }); // where a script on the page, or a test, finds the maps
    node.setAttribute("aria-activedescendant", heads.id(get("head")));
    if (!heads.count()) heads.list(present, get);
    drawn(present);
    mark();
    countDrawing(root);
    if (growing(present)) schedule();
    else idle(prepare);
  }

  /** What can wait until the change is on the screen: the list of heads, and to draw what a slider's next step leads to. */
  function prepare() {
    if (!node.clientWidth || schedule.pending || !present || !look) return; // nobody sees it, or a drawing is to come
    const now = looks();
    if (JSON.stringify({ ...look, ...now }) !== JSON.stringify(look)) return schedule(); // a theme came in pieces
    heads.list(present, get);
    if (marks.hidden) sized(marks, look, present.layout.height); // the first pointer does not wait for a canvas to be made
    for (const ahead of neighbours(get, present)) {
      if (!inflation.waits(ahead) && growing(worked(ahead, look))) return idle(prepare);
    }
    root.dataset.prepared = root.dataset.drawn;
  }

  const mark = () => {
    if (!present || !look) return;
    const cell = hoveredCell(present, get("hovered"));
    drawMarks(marks, present, look, { cell, pinned: get("pinned"), current: focused ? get("head") : null });
  };

  const schedule = scheduler(draw);
  node.onfocus = node.onblur = () => {
    focused = node.matches(":focus-visible");
    schedule();
  };
  const end = observe(node, schedule);
  return {
    node,
    schedule,
    mark,
    present: () => present,
    focused: () => focused,
    /** Whether the next drawing will show what the traits say; then nothing less needs to be shown now. */
    waits: () => !present || !node.clientWidth || schedule.pending !== 0,
    dispose() {
      schedule.cancel();
      end();
    },
  };
}

/**
 * The states that the first slider reaches with one step.
 * @param {Get} get
 * @param {Sheet} present
 * @returns {Get[]}
 */
function neighbours(get, { heads, all: { n, s } }) {
  const [dial] = dials(get);
  if (!dial) return [];
  const { trait, steps } = dial;
  const at = steps.indexOf(get(trait));
  const most = (/** @type {number} */ next) => (trait === "layer" ? heads : next);
  const kept = [steps[at - 1], steps[at + 1]].filter((next) => next !== undefined && 3 * n * s * most(next) <= ROOM);
  return kept.map((next) => {
    const pinned = get("pinned").filter((head) => head < most(next));
    const shared = most(next) % (get("num_kv_heads") || 1) ? { num_kv_heads: 0 } : {};
    const changed = /** @type {Partial<Traits>} */ ({ [trait]: next, pinned, ...shared });
    return (name) => /** @type {any} */ (changed)[name] ?? get(name);
  });
}

/**
 * Puts a finished drawing on the page.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLCanvasElement} drawing
 * @param {Look} look
 * @param {number} height
 */
function showCanvas(canvas, drawing, look, height) {
  const ctx = sized(canvas, look, Math.max(height, HIGHEST));
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.drawImage(drawing, 0, 0);
}
