// @ts-check
// The elements: the steps, the size of a tile, and the places of what is shown.

import { chooser } from "../shared/chooser.js";
import { element, field, named, rootOf, say } from "../shared/dom.js";
import { slider } from "../shared/slider.js";
import { disclosure } from "../shared/table.js";
import { fastMemory } from "./fast.js";
import {
  arithmetic,
  heldInWords,
  IGNORED,
  memoryTable,
  movedInWords,
  scoreInWords,
  stepInWords,
  stepsTable,
} from "./speech.js";
import { samePlace } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Chosen} Chosen */
/** @typedef {(traits: Partial<Chosen>) => void} Change */

const part = named("mha-tiles");
const CELLS = /** @type {const} */ (["scores", "weights"]);
const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
  element("button", { type: "button", onclick }, text);

/**
 * @param {import("./state.js").Given} fixed
 * @param {{ change: Change, state: () => State, go: (step: number) => void, play: ReturnType<typeof import("../shared/playing.js").playing> }} acts
 * @param {SVGElement} svg
 */
export function controls(fixed, acts, svg) {
  const steps = stepper(acts);
  const sizes = tileSizes(fixed.N, acts);
  const fast = fastMemory();
  const stage = part(
    "stage",
    "div",
    { tabIndex: 0, role: "group", ariaLabel: "Tiles: left and right a step, up and down a query" },
    svg,
  );
  const figure = part("chart", "figure");
  const read = readout();
  const [held, moved] = [part("bytes", "p"), part("bytes", "p", { ariaLive: "polite" })];
  const tables = disclosure({
    className: "mha-tiles-table mha-folded-table",
    label: "Tiles as a table",
    title: "All steps, and the chart, as tables",
    make: () => [stepsTable(acts.state()), memoryTable(acts.state())],
  });
  const slow = part("slow", "div", {}, part("title", "p", {}, "Slow memory"), stage, legend(), held);
  const right = part("right", "div", {}, fast.node, read.node, figure);
  const note = part("note", "p", {}, IGNORED);
  const root = rootOf(
    "mha-tiles",
    steps.node,
    sizes.node,
    moved,
    part("pictures", "div", {}, slow, right),
    note,
    tables.node,
  );
  /** @param {State} now */
  const told = (now) => {
    read.show(now);
    tables.update();
  };
  /** @param {State} now @param {number} room of the numbers in fast memory */
  const show = (now, room) => {
    steps.show(now);
    sizes.show(now);
    say(held, heldInWords(now));
    say(moved, movedInWords(now));
    told(now);
    fast.show(now, room); // the last: it measures itself, and the page is laid out for that
  };
  /** What follows the pointer. @param {State} now */
  const mark = (now) => {
    fast.mark(now);
    told(now);
  };
  return { root, stage, figure, fast, show, mark };
}

/** Forth and back, played, or slid. */
function stepper(/** @type {Parameters<typeof controls>[1]} */ { go, state, play }) {
  const [back, forth] = [button("◀ back", () => go(state().step - 1)), button("step ▶", () => go(state().step + 1))];
  const playing = button("play", play.toggle);
  const where = slider(1, go, { ariaLabel: "step" });
  const node = part("line", "div", {}, back, forth, playing, where.node, where.text);
  const show = (/** @type {State} */ now) => {
    where.node.max = String(now.last);
    where.show(now.step, stepInWords(now));
    back.ariaDisabled = String(now.step === 0); // and not disabled: that would lose the focus
    forth.ariaDisabled = String(now.step === now.last);
    say(playing, play.on ? "pause" : play.calm ? "to the end" : "play");
  };
  return { node, show };
}

/** The size of a tile, the mask, and what its cells show. */
function tileSizes(/** @type {number} */ N, /** @type {Parameters<typeof controls>[1]} */ { change, state }) {
  const resized = (/** @type {Partial<Chosen>} */ sizes) => change({ ...sizes, step: samePlace(state(), sizes) });
  const rows = slider(1, (value) => resized({ query_rows: value }), { min: 1, max: N });
  const columns = slider(1, (value) => resized({ key_columns: value }), { min: 1, max: N });
  const causal = element("input", { type: "checkbox" });
  causal.onchange = () => resized({ causal: causal.checked });
  const cells = chooser(["scores s", "exp(s − m)"], "what the cells show", (place) => change({ cells: CELLS[place] }));
  const node = part(
    "line",
    "div",
    {},
    field("tile: queries", rows.node, rows.text),
    field("× keys", columns.node, columns.text),
    field(causal, "causal"),
    part("pair", "span", {}, "cells", cells.node),
  );
  const show = (/** @type {State} */ now) => {
    rows.show(now.query_rows, now.query_rows);
    columns.show(now.key_columns, now.key_columns);
    causal.checked = now.causal;
    cells.show(CELLS.indexOf(now.cells));
  };
  return { node, show };
}

/** The arithmetic of one query, and the score that is pointed at. */
function readout() {
  const [score, list] = [element("p"), element("dl")];
  const node = part("readout", "div", { ariaLive: "polite" }, list, score);
  const show = (/** @type {State} */ now) => {
    const lines = arithmetic(now);
    const words = lines.map((line) => line.join(" ")).join();
    if (list.dataset.words !== words) {
      const row = (/** @type {[string, string]} */ [term, text]) =>
        element("div", {}, element("dt", {}, term), element("dd", {}, text));
      list.replaceChildren(...lines.map(row));
      list.dataset.words = words;
    }
    say(score, scoreInWords(now));
  };
  return { node, show };
}

/** What the marks in the matrix mean. */
function legend() {
  const kinds = { waiting: "to come", present: "in fast memory", forgotten: "forgotten", skipped: "skipped" };
  const item = (/** @type {[string, string]} */ [kind, text]) =>
    element("li", { "data-kind": kind }, element("i"), text);
  return part("legend", "ul", {}, ...Object.entries(kinds).map(item));
}
