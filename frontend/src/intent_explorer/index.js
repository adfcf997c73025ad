// @ts-check
// IntentExplorer: type a sentence; see what a classifier answers, which words it read that from, and where heads look.
//
// All state lives in the model's traits, and show() reads them afresh. Only a new sentence needs the kernel.

import { countDrawing, scheduler } from "../shared/frames.js";
import { kernelOf } from "../shared/kernel.js";
import { changer, watch } from "../shared/traits.js";
import { viewOf } from "./view.js";

/** @typedef {import("./traits.js").Traits} Traits */

/** @type {(keyof Traits)[]} */
const MOVING = ["sentence", "layer", "word", "stretch", "typed", "message", "_typed"];
/** @type {(keyof Traits)[]} */
const ALL = [...MOVING, "hovered", "names", "can_read", "num_layers", "num_heads", "_readings", "_colours"];

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const kernel = kernelOf(model);
  const traits = () => /** @type {Traits} */ (Object.fromEntries(ALL.map((name) => [name, model.get(name)])));
  const view = viewOf(traits, changer(model), kernel);
  const draw = () => {
    view.show();
    countDrawing(view.root);
  };
  const schedule = scheduler(draw);
  const answered = (/** @type {{ kind: string }} */ { kind }) => {
    if (kind !== "answered") return;
    view.answered();
    schedule();
  };
  model.on("msg:custom", answered);
  const ends = [
    watch(model, MOVING, schedule),
    watch(model, ["hovered"], () => schedule.pending || view.point()),
    () => model.off("msg:custom", answered),
  ];
  el.append(view.root);
  draw();
  return () => {
    for (const end of ends) end();
    view.dispose();
    kernel.dispose();
    schedule.cancel();
    view.root.remove();
  };
}

export default { render };
