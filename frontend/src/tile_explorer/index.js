// @ts-check
// TileExplorer: FlashAttention's tiles step over the scores; what is in fast memory, and what is never stored.
//
// All state lives in the model's traits, and draw() reads them afresh: traits → state → layout → paint and speech. The
// arithmetic is done here, without the kernel.

import { chart } from "../shared/chart.js";
import { element, say } from "../shared/dom.js";
import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { playing } from "../shared/playing.js";
import { pointing } from "../shared/pointing.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { cellAt, chartOf, layoutOf } from "./layout.js";
import { painting } from "./paint.js";
import { lengthInWords, pictureName } from "./speech.js";
import { derived, given } from "./state.js";
import { CHOSEN } from "./traits.js";

/** @typedef {import("./traits.js").Traits} Traits */
/** @typedef {import("./traits.js").Chosen} Chosen */
/** @typedef {import("./state.js").State} State */

const PAUSE = 1200; // ms between two steps

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const fixed = given(model);
  const change = changer(model);
  const state = () => derived(fixed, /** @type {Chosen} */ (Object.fromEntries(CHOSEN.map((n) => [n, model.get(n)]))));
  const go = (/** @type {number} */ step) => {
    if (step >= 0 && step <= state().last) change({ step });
  };
  const acts = { at: () => state().step, first: 0, last: () => state().last, go, changed: () => schedule() };
  const play = playing({ ...acts, pause: PAUSE });
  const picture = painting();
  const view = controls(fixed, { change, state, go, play }, picture.svg);
  const growth = memoryChart(view.figure);
  let layout = layoutOf(fixed.N, 400);

  function draw() {
    const now = state();
    const [width, room] = [view.stage.clientWidth, view.figure.clientWidth]; // asked before anything is written,
    const fast = view.fast.room(); // so that the page is laid out once
    if (width) layout = layoutOf(fixed.N, width);
    picture.paint(layout, now);
    picture.mark(layout, now);
    picture.svg.setAttribute("aria-label", pictureName(now));
    growth.show(now, room);
    view.show(now, fast);
    countDrawing(view.root);
  }
  const mark = (/** @type {State} */ now) => {
    picture.mark(layout, now);
    view.mark(now);
  };
  const schedule = scheduler(draw);
  el.append(view.root);
  const ends = [
    watch(model, ["query_rows", "key_columns", "causal", "step", "cells"], schedule),
    watch(model, ["row", "pointed"], () => schedule.pending || mark(state())),
    observe(view.root, schedule),
    gestures(view, { change, state, go, layout: () => layout, svg: picture.svg }),
    growth.dispose,
    schedule.cancel,
  ];
  schedule();
  return () => {
    play.pause();
    for (const end of ends) end();
    view.root.remove();
  };
}

/**
 * Mouse, finger and keys: they read a query or a score, and a click or second tap keeps the query.
 * @param {ReturnType<typeof controls>} view
 * @param {{ change: (traits: Partial<Chosen>) => void, state: () => State, go: (step: number) => void,
 *   layout: () => import("./layout.js").Layout, svg: SVGElement }} means
 */
function gestures(view, { change, state, go, layout, svg }) {
  const placeAt = (/** @type {{ clientX: number, clientY: number }} */ { clientX, clientY }) => {
    const box = svg.getBoundingClientRect();
    return cellAt(layout(), clientX - box.left, clientY - box.top);
  };
  const rowAt = (/** @type {Element | null} */ target) => {
    const row = target?.closest("[data-row]")?.getAttribute("data-row");
    return row ? /** @type {[number, number]} */ ([Number(row), -1]) : null;
  };
  const read = (/** @type {[number, number] | null} */ place) => {
    const pointed = place ?? [];
    if (pointed.join() !== state().pointed.join()) change({ pointed });
    return place && pointed.join();
  };
  const keep = (/** @type {[number, number] | null} */ place) => {
    if (place) change({ row: place[0] === state().kept ? -1 : place[0] });
  };
  view.stage.addEventListener("keydown", (event) => {
    const { step, row, N, last } = state();
    const up = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const to = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) go(to);
    else if (up) change({ row: Math.max(0, Math.min(N - 1, row + up)), pointed: [] });
    else if (event.key === "Escape") change({ row: -1, pointed: [] });
    else return;
    event.preventDefault();
  });
  const clear = () => read(null);
  const onPicture = pointing(svg, { read: (spot) => read(placeAt(spot)), pin: (spot) => keep(placeAt(spot)), clear });
  const onTable = pointing(view.fast.table, {
    read: ({ target }) => read(rowAt(target)),
    pin: ({ target }) => keep(rowAt(target)),
    clear,
  });
  return () => {
    onPicture();
    onTable();
  };
}

/** Memory as texts grow: drawn again when the tile or the width is another one. @param {HTMLElement} figure */
function memoryChart(figure) {
  const caption = element("figcaption");
  let [drawnFor, dispose] = ["", () => {}];
  /** @param {State} now @param {number} room */
  const show = (now, room) => {
    const width = Math.max(240, room);
    const asked = `${width} ${now.memory.held}`;
    if (asked === drawnFor) return;
    drawnFor = asked;
    dispose();
    const words = lengthInWords(now, 65536);
    const picture = chart({ ...chartOf(now, width), label: `Memory as texts grow: ${words}` });
    say(caption, words);
    figure.replaceChildren(caption, picture.node);
    dispose = pointing(picture.node, {
      read(spot) {
        if (spot.pointerType !== "mouse" && picture.far(spot) > 36) return null; // there a drag scrolls the page
        const tokens = 2 ** Math.round(Math.log2(Math.max(1, Math.min(2 ** 17, picture.valueAt(spot)))));
        say(caption, lengthInWords(now, tokens));
        picture.read(tokens);
        return tokens;
      },
      pin: () => {},
      clear() {
        say(caption, words);
        picture.read(null);
      },
    });
  };
  return { show, dispose: () => dispose() };
}

export default { render };
