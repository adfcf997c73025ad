// @ts-check
// KVCacheExplorer: the bytes that a decoder keeps for every token, beside the memory and the bandwidth there is.
//
// All state lives in the model's traits, and draw() reads them afresh: traits → state → layout → paint and speech. The
// arithmetic is done here, without the kernel.

import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { paintBars, paintChart } from "./paint.js";
import { derived } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */

/** @type {(keyof Traits)[]} */
const CHOSEN = ["model", "context", "batch", "num_kv_heads", "bytes_per_number", "budget", "bandwidth"];
/** @type {(keyof Traits)[]} */
const GIVEN = ["_presets", "_others", "_contexts", "_batches"];

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const change = changer(model);
  const traits = () =>
    /** @type {Traits} */ (Object.fromEntries([...CHOSEN, ...GIVEN].map((name) => [name, model.get(name)])));
  const state = () => derived(traits());
  const view = controls(traits(), { change, state });
  let unpoint = () => {};

  function draw() {
    const now = state();
    view.show(now);
    paintBars(view.bars, now);
    unpoint();
    unpoint = paintChart(view.figure, now, (context) => change({ context }));
    countDrawing(view.root);
  }

  const schedule = scheduler(draw);
  el.append(view.root);
  const ends = [watch(model, CHOSEN, schedule), observe(view.root, schedule), () => unpoint(), schedule.cancel];
  schedule();
  return () => {
    for (const end of ends) end();
    view.root.remove();
  };
}

export default { render };
