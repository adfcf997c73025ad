// @ts-check
// The maps with what is said of them: the read-out, the table, and exact weights as soon as the kernel sends them.

import { say } from "../shared/dom.js";
import { disclosure } from "../shared/table.js";
import { exactWeights, inflation } from "./arrivals.js";
import { NUMBER_CELL, glance as shares, TALL } from "./layout.js";
import { tables } from "./speech.js";
import { stageOf } from "./stage.js";
import { hoveredCell } from "./state.js";

/**
 * @typedef {import("./page.js").Model} Model
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./paint.js").Sheet} Sheet
 */

const STEP = 16; // px
const MARGIN = 20; // of a cell in a notebook, above and below
const LEAST = 300; // the height of maps that stand alone
const SUMMARY = 40; // the line that is left of closed timings

/**
 * @param {Model} model
 * @param {Get} get
 * @param {ReturnType<typeof import("./page.js").page>} page
 */
export function viewOf(model, get, { root, glance, reading, timings, own, show, settle }) {
  const exact = exactWeights(model);
  const inflating = inflation(
    () => stage.schedule(),
    (problem) => say(own?.message ?? reading.node, String(problem)),
  );
  const stage = stageOf({ root, get, inflation: inflating, exact, room, drawn });
  const table = disclosure({ className: "mha-heads-table", label: "weights", make: makeTables });
  glance.append(stage.node, ...(timings ? [timings.node] : []));
  root.append(table.node);
  table.node.addEventListener("toggle", stage.schedule);

  const screen = screenOf(root);
  /** The height that the maps may take; the chart gets its place. */
  function room() {
    if (timings) settle(root.clientWidth);
    const above = glance.getBoundingClientRect().top - root.getBoundingClientRect().top;
    const left = STEP * Math.floor((screen() - above - MARGIN) / STEP); // every other height would be another drawing
    if (!timings || !get("timings_open")) {
      glance.dataset.mode = "below";
      return Math.max(LEAST, Math.min(left - (timings ? SUMMARY : 0), TALL));
    }
    const { mode, limit, column, chart } = shares(root.clientWidth, left);
    glance.dataset.mode = mode;
    glance.style.setProperty("--mha-column", `${column}px`);
    timings.place(chart);
    return limit;
  }

  const projection = get("source") === "projection";
  const here = () => (projection ? null : exact.here(get));

  function makeTables() {
    const sheet = stage.present();
    const heads = get("pinned").length ? get("pinned") : [get("head")];
    return sheet ? tables(sheet, heads, hoveredCell(sheet, get("hovered")), here()) : [];
  }

  /** @param {Sheet} sheet */
  function read(sheet) {
    const cell = hoveredCell(sheet, get("hovered"));
    if (cell && !projection) exact.ask(get, sheet, cell[1]);
    const state = { pinned: get("pinned"), head: get("head"), focused: stage.focused(), exact: here() };
    reading.show(sheet, cell, state);
  }

  /** @param {Sheet} sheet */
  function drawn(sheet) {
    if (!projection && refines(sheet, false)) exact.ask(get, sheet, 0);
    show(sheet);
    read(sheet);
    table.update();
  }

  /** Where only the pointer has moved. */
  function moved() {
    const sheet = stage.present();
    if (stage.waits() || !sheet) return; // a whole redraw is coming
    stage.mark();
    read(sheet);
    if (!sheet.all.small) table.update();
  }

  /**
   * Whether exact weights change more than the read-out: what must have them or, with `text`, the numbers in cells too.
   * @param {Sheet} sheet
   * @param {boolean} text
   */
  function refines({ all, held, layout }, text) {
    const wanted = held || table.node.open || get("pinned").length > 0;
    return all.small && (wanted || (text && layout.places[0].cell >= NUMBER_CELL));
  }

  return {
    stage,
    moved,
    /**
     * The kernel has sent exact weights.
     * @param {unknown[]} id
     * @param {DataView} weights
     */
    refine(id, weights) {
      exact.answered(id, weights);
      const sheet = stage.present();
      if (here() && sheet && !refines(sheet, true)) moved();
      else stage.schedule();
    },
    dispose() {
      stage.dispose();
      exact.dispose();
      timings?.dispose();
    },
  };
}

/**
 * A function that gives the height of what scrolls around a node: JupyterLab's notebook, or the window.
 * @param {HTMLElement} node
 */
function screenOf(node) {
  /** @type {Element | undefined} */
  let outer;
  return () => {
    if (!outer?.isConnected) {
      outer = undefined;
      for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) {
        if (/auto|scroll/.test(getComputedStyle(at).overflowY)) outer = at; // the outputs within it scroll too
      }
    }
    return Math.min(outer?.clientHeight ?? innerHeight, innerHeight);
  };
}
