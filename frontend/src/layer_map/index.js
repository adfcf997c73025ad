// @ts-check
// LayerMap: the whole layer as one drawing with live shapes. Traits → state → layout → drawing and words; controls and
// gestures do nothing but set traits.

import { drawn, named, rootOf } from "../shared/dom.js";
import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { stepped } from "../shared/keys.js";
import { pointing } from "../shared/pointing.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { layoutOf } from "./layout.js";
import { painting } from "./paint.js";
import { partsTable, readout } from "./speech.js";
import { SIZES, stateOf } from "./state.js";
import { NAMES } from "./traits.js";

/** @typedef {import("./traits.js").Traits} Traits */

const make = named("mha-layer");

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const change = changer(model);
  /** @returns {Traits} all that is shown follows from them */
  const present = () => /** @type {any} */ (Object.fromEntries(NAMES.map((name) => [name, model.get(name)])));
  const svg = drawn("svg", { class: "mha-layer-drawing", role: "group", "aria-label": "the layer" });
  const picture = painting(svg);
  const chosen = controls(present, change, () => {
    drawnFor = "";
    schedule();
  });
  const words = readout();
  const tables = partsTable(() => stateOf(present()));
  const stage = make("stage", "div", {}, svg);
  const root = rootOf("mha-layer", chosen.node, chosen.note, stage, words.node, tables.node);
  el.append(root);

  let drawnFor = ""; // which sizes, on which width: pointing alone changes no shape and no control
  const schedule = scheduler(() => {
    const traits = present();
    const state = stateOf(traits);
    const width = stage.clientWidth;
    const { bias, bytes_per_number, d_head } = traits;
    const asked = JSON.stringify([width, state.mode, state.sizes, bias, bytes_per_number, d_head]);
    if (width && asked !== drawnFor) {
      picture.paint(layoutOf(state, width), state);
      chosen.show(state);
      tables.update();
      drawnFor = asked;
    }
    picture.mark(state);
    words.show(state);
    countDrawing(root);
  });

  const ends = [
    gestures(svg, { picture, change, present }),
    watch(model, NAMES, schedule),
    watch(model, ["mode", ...SIZES], chosen.forgive),
    observe(stage, schedule),
    schedule.cancel,
  ];
  return () => {
    for (const end of ends) end();
    root.remove();
  };
}

/**
 * Pointing and walking: both say which part is read.
 * @param {SVGSVGElement} svg
 * @param {{ picture: ReturnType<typeof painting>, change: (traits: Partial<Traits>) => void, present: () => Traits }} means
 */
function gestures(svg, { picture, change, present }) {
  const partAt = (/** @type {Element | null} */ target) =>
    target?.closest("[data-part]")?.getAttribute("data-part") ?? "";
  const read = (/** @type {string} */ name) => {
    if (name !== present().pointed) change({ pointed: name });
    return name || null;
  };
  const pin = (/** @type {string} */ name) => change({ pinned: name === present().pinned ? "" : name });

  svg.addEventListener("keydown", (event) => {
    const { flow } = stateOf(present());
    const at = flow.findIndex(({ name }) => name === partAt(/** @type {Element} */ (event.target)));
    if (at < 0) return;
    const next = event.key === "Home" ? 0 : event.key === "End" ? flow.length - 1 : stepped(event, at, flow.length);
    if (next !== null) {
      read(flow[next].name);
      picture.focus(flow[next].name);
    } else if (event.key === "Enter" || event.key === " ") pin(flow[at].name);
    else if (event.key === "Escape") change({ pointed: "", pinned: "" });
    else if (!event.key.startsWith("Arrow")) return; // at an end the notebook would scroll
    event.preventDefault();
  });
  svg.addEventListener("focusin", (event) => read(partAt(/** @type {Element} */ (event.target))));
  svg.addEventListener("focusout", () => read(""));
  return pointing(svg, {
    read: ({ target }) => read(partAt(target)),
    pin: ({ target }) => pin(partAt(target)),
    clear: () => read(""),
  });
}

export default { render };
