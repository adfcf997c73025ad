// @ts-check
// The maps with what is said of them: the read-out, the table, and exact weights as soon as the kernel sends them.

import { say } from "../shared/dom.js";
import { disclosure } from "../shared/table.js";
import { exactWeights, inflation } from "./arrivals.js";
import { NUMBER_CELL } from "./layout.js";
import { roomOf } from "./room.js";
import { tables, thumbnailWords } from "./speech.js";
import { Stage } from "./stage.js";
import { hoveredCell } from "./state.js";

/**
 * @typedef {import("./page.js").Model} Model
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./paint.js").Sheet} Sheet
 */

export class View {
  /**
   * @param {Model} model
   * @param {Get} get
   * @param {ReturnType<typeof import("./page.js").page>} page
   */
  constructor(model, get, page) {
    this.get = get;
    this.page = page;
    this.projection = get("source") === "projection";
    this.exact = exactWeights(model);
    const inflating = inflation(
      () => this.stage.schedule(),
      (problem) => say(page.own?.message ?? page.reading.node, String(problem)),
    );
    const drawn = (/** @type {Sheet} */ sheet) => this.drawn(sheet);
    this.stage = new Stage({
      root: page.root,
      get,
      inflation: inflating,
      exact: this.exact,
      room: roomOf(page, get),
      drawn,
    });
    this.table = disclosure({ className: "mha-heads-table", label: "weights", make: () => this.tables() });
    this.table.node.addEventListener("toggle", this.stage.schedule);
    page.glance.append(this.stage.node, ...(page.timings ? [page.timings.node] : []));
    page.root.append(this.table.node);
  }

  /** Exact weights of the layer on show that the kernel has sent. */
  here() {
    return this.projection ? null : this.exact.here(this.get);
  }

  tables() {
    const { get, stage } = this;
    const sheet = stage.present;
    if (!sheet || sheet.layers > 1) return [];
    const pinned = get("view") === "maps" ? get("pinned") : [];
    return tables(sheet, pinned.length ? pinned : [get("head")], hoveredCell(sheet, get("hovered")), this.here());
  }

  /** @param {Sheet} sheet */
  read(sheet) {
    const { get, stage } = this;
    const { reading } = this.page;
    if (sheet.layers > 1) return reading.tell((touch) => thumbnailWords(sheet, stage.thumbnail(), touch));
    const cell = hoveredCell(sheet, get("hovered"));
    if (cell && !this.projection) this.exact.ask(get, sheet, cell[1]);
    const pinned = get("view") === "maps" ? get("pinned") : [];
    const state = { pinned, head: get("head"), focused: stage.focused, exact: this.here(), view: get("view") };
    reading.show(sheet, cell, state);
  }

  /** @param {Sheet} sheet */
  drawn(sheet) {
    if (!this.projection && sheet.layers === 1 && this.refines(sheet, false)) this.exact.ask(this.get, sheet, 0);
    this.page.show(sheet);
    this.read(sheet);
    this.table.update();
  }

  /** Where only the pointer has moved. */
  moved() {
    const sheet = this.stage.present;
    if (this.stage.waits() || !sheet) return; // a whole redraw is coming
    this.stage.mark();
    this.read(sheet);
    if (!sheet.all.small) this.table.update();
  }

  /**
   * Whether exact weights change more than the read-out: what must have them or, with `text`, the numbers in cells too.
   * @param {Sheet} sheet
   * @param {boolean} text
   */
  refines({ all, held, layout }, text) {
    const enlarged = this.get("pinned").length > 0 || this.get("view") === "lines";
    const wanted = held || this.table.node.open || enlarged;
    return all.small && (wanted || (text && layout.places[0].cell >= NUMBER_CELL));
  }

  /**
   * The kernel has sent exact weights.
   * @param {unknown[]} id
   * @param {DataView} weights
   */
  refine(id, weights) {
    this.exact.answered(id, weights);
    const sheet = this.stage.present;
    if (this.here() && sheet && !this.refines(sheet, true)) this.moved();
    else this.stage.schedule();
  }

  dispose() {
    this.stage.dispose();
    this.exact.dispose();
    this.page.timings?.dispose();
  }
}
