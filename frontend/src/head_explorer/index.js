// @ts-check
// HeadExplorer: the attention maps of all heads as small multiples, and any head enlarged beside another.
//
// All state lives in the model's traits, and a drawing reads them afresh: it does not matter whether a learner, a test or
// Python set them. Head counts, layers, masks and colours are computed here, so that they answer without the kernel.

import { kernelOf } from "../shared/kernel.js";
import { changer, watch } from "../shared/traits.js";
import { pointAt, pressed } from "./gestures.js";
import { page } from "./page.js";
import { View } from "./view.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("./state.js").Get} Get
 */

/** @type {(keyof Traits)[]} */
const MAPS = [
  "sentence",
  "layer",
  "num_heads",
  "causal",
  "window",
  "shuffle",
  "num_kv_heads",
  "hidden",
  "stretch",
  "view",
];
/** @type {(keyof Traits)[]} */
const DRAWN = [...MAPS, "pinned", "head", "_added", "typed", "message", "timings_open"];

/**
 * Rules between traits that hold for every view, with or without a kernel: what the new state does not have is dropped.
 * @type {import("@anywidget/types").Initialize<Traits>}
 */
function initialize({ model }) {
  return watch(model, ["num_heads", "sentence"], () => {
    const heads = model.get("num_heads");
    const pinned = model.get("pinned").filter((head) => head < heads);
    model.set("pinned", pinned);
    model.set("head", Math.min(model.get("head"), heads - 1));
    model.set("hovered", []);
    if (heads % (model.get("num_kv_heads") || heads)) model.set("num_kv_heads", 0);
  });
}

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  /** @type {Get} */
  const get = (name) => model.get(name);
  const change = changer(model);
  const kernel = kernelOf(model);
  const around = page(model, get, change, kernel);
  const view = new View(model, get, around);
  const { stage } = view;
  el.append(around.root);

  /**
   * @param {{ kind: string, id: unknown[] }} message
   * @param {DataView[]} buffers
   */
  function heard({ kind, id }, buffers) {
    if (kind === "answered") around.own?.answered();
    if (kind === "exact") view.refine(id, buffers[0]);
    else stage.schedule();
  }

  model.on("msg:custom", heard);
  stage.node.onkeydown = (event) => pressed(event, stage, get, change);
  const ends = [
    watch(model, DRAWN, stage.schedule),
    watch(model, ["hovered"], () => view.moved()),
    pointAt(stage, get, change, () => view.moved()),
    () => model.off("msg:custom", heard),
    () => view.dispose(),
    () => kernel.dispose(),
  ];
  stage.schedule();
  return () => {
    for (const end of ends) end();
    around.root.remove();
  };
}

export default { initialize, render };
