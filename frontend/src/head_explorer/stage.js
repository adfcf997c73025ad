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
 *
 * @typedef {object} Setting
 * @property {HTMLElement} root
 * @property {Get} get
 * @property {ReturnType<typeof import("./arrivals.js").inflation>} inflation
 * @property {ReturnType<typeof import("./arrivals.js").exactWeights>} exact
 * @property {() => number} room the height that the maps may take
 * @property {(sheet: Sheet) => void} drawn is told of each drawing
 */

const SLICE = 4; // ms of a frame for computing maps, and as much for painting them; large ones fill up over several frames
const HIGHEST = 560; // px of most stages: to enlarge a canvas costs as much as to draw all maps
const NAME = "Heads: arrow keys choose one, Enter enlarges it, Shift and arrows read cells, Escape clears.";
const idle = window.requestIdleCallback ?? setTimeout; // Safari has none

export class Stage {
  /** @param {Setting} setting */
  constructor(setting) {
    this.setting = setting;
    const { get, inflation, exact } = setting;
    this.maps = element("canvas", { ariaHidden: "true" });
    this.marks = element("canvas", { ariaHidden: "true" });
    const list = { tabIndex: 0, role: "listbox", ariaMultiSelectable: "true", ariaLabel: NAME };
    this.node = part("stage", "div", list, this.maps, this.marks);
    this.sheetOf = sheets(inflation, exact);
    this.heads = headList(this.node);
    this.palettes = { colours: colourTable(get("_colours")), diverging: colourTable(get("_differences")) };
    /** @type {Sheet | null} what is drawn */
    this.present = null;
    /** @type {Look | null} */
    this.look = null;
    this.limit = 0;
    this.focused = false;
    /** @type {{ head: number | null, side: "query" | "key" }} what only a pointer says: a thumbnail of the overview, and on
     *   which side of the lines it is */
    this.pointed = { head: null, side: "query" };
    this.schedule = scheduler(() => this.draw());
    this.node.onfocus = this.node.onblur = () => {
      this.focused = this.node.matches(":focus-visible");
      this.schedule();
    };
    this.end = observe(this.node, this.schedule);
  }

  /** What the theme and the screen say. */
  looks() {
    const { root, get } = this.setting;
    const ink = inks(root, ["ink", "muted", "page", "line", "brand", "query", "key"]);
    return { width: this.node.clientWidth, ratio: devicePixelRatio, ink, stretch: get("stretch") };
  }

  /**
   * The drawing of a state, after a slice more of work on it.
   * @param {Get} get
   * @param {Look} look
   */
  worked(get, look) {
    const sheet = this.sheetOf(get, look, this.limit);
    const end = performance.now() + SLICE;
    if (growing(sheet)) {
      advance(sheet, end);
      drawMaps(sheet, look, end + SLICE);
    }
    return sheet;
  }

  draw() {
    const { node, heads } = this;
    const { root, get, inflation, room, drawn } = this.setting;
    if (!node.clientWidth || inflation.waits(get)) return; // scrolled away: the observers call again
    this.limit = room();
    const look = { ...this.looks(), ...this.palettes };
    const sheet = this.worked(get, look);
    Object.assign(this, { look, present: sheet });
    const { layout, canvas } = sheet;
    const ctx = sized(this.maps, look, Math.max(layout.height, HIGHEST));
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(canvas, 0, 0);
    node.style.height = `${layout.height}px`;
    Object.assign(node, { places: layout.places, lines: layout.lines }); // where a script, or a test, finds the maps
    node.setAttribute("aria-activedescendant", heads.id(get("head")));
    if (heads.stale(sheet, get)) heads.list(sheet, get); // a name that is read out now
    drawn(sheet);
    this.mark();
    countDrawing(root);
    if (growing(sheet)) this.schedule();
    else idle(() => this.prepare());
  }

  /** What can wait until the change is on the screen: the list of heads, and to draw what a slider's next step leads to. */
  prepare() {
    const { present, look } = this;
    const { root, get, inflation } = this.setting;
    if (!this.node.clientWidth || this.schedule.pending || !present || !look) return; // unseen, or a drawing is to come
    const now = this.looks();
    if (JSON.stringify({ ...now, ...this.palettes }) !== JSON.stringify(look)) return this.schedule(); // a theme in pieces
    this.heads.list(present, get);
    if (this.marks.hidden) sized(this.marks, look, present.layout.height); // the first pointer does not wait for that
    for (const ahead of neighbours(get, present)) {
      if (!inflation.waits(ahead) && growing(this.worked(ahead, look))) return idle(() => this.prepare());
    }
    root.dataset.prepared = root.dataset.drawn; // who waits for that finds it there
  }

  /** The thumbnail of the overview that is read: [layer, head], or null. */
  thumbnail() {
    const { get } = this.setting;
    const columns = get("num_heads");
    if (this.pointed.head !== null) return [Math.floor(this.pointed.head / columns), this.pointed.head % columns];
    return this.focused ? [get("layer"), get("head")] : null;
  }

  mark() {
    const { present, look } = this;
    const { get } = this.setting;
    if (!present || !look) return;
    const overview = present.layers > 1;
    const first = overview ? get("layer") * get("num_heads") : 0;
    const cell = overview ? null : hoveredCell(present, get("hovered"));
    const pinned = {
      maps: get("pinned"),
      lines: [get("head")],
      overview: this.pointed.head === null ? [] : [this.pointed.head],
    };
    const current = this.focused ? first + get("head") : null;
    const layer = overview ? get("layer") : null;
    drawMarks(this.marks, present, look, {
      cell,
      pinned: pinned[get("view")],
      current,
      layer,
      side: this.pointed.side,
    });
  }

  /** Whether a drawing will come that shows what the traits say; then nothing less needs to be shown now. */
  waits() {
    return !this.present || !this.node.clientWidth || this.schedule.pending !== 0;
  }

  dispose() {
    this.schedule.cancel();
    this.end();
  }
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
    const head = Math.min(get("head"), most(next) - 1);
    const shared = most(next) % (get("num_kv_heads") || 1) ? { num_kv_heads: 0 } : {};
    const changed = /** @type {Partial<Traits>} */ ({ [trait]: next, pinned, head, ...shared });
    return (name) => /** @type {any} */ (changed)[name] ?? get(name);
  });
}
