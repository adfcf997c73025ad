// @ts-check
// CostExplorer: what a layer costs in parameters, FLOPs, memory and time, while its sizes move.
//
// All state lives in the model's traits, and draw() reads them afresh: traits → state → layout → paint and speech. The
// arithmetic is that of mha_lab.cost, done here, without the kernel.

import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { paintBar, paintCharts, paintMaps } from "./paint.js";
import { derived, SIZES, settled, sizesOf } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */

/** @type {(keyof Traits)[]} */
const SHOWN = [...SIZES, "against", "_models", "_machine", "_measured", "_measured_at"];

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const change = changer(model);
  const traits = () => /** @type {Traits} */ (Object.fromEntries(SHOWN.map((name) => [name, model.get(name)])));
  const set = (/** @type {Partial<Traits>} */ some) => change(settled({ ...sizes(), ...some }, sizes()));
  const sizes = () => sizesOf(traits());
  const choose = (/** @type {string} */ name) => {
    const chosen = model.get("_models").find((one) => one.name === name);
    if (!chosen) return;
    const { n, d_model, num_heads, num_kv_heads, d_head, latent, bias } = chosen;
    change({ n, d_model, num_heads, num_kv_heads, d_head, latent, bias, batch: 1 });
  };
  const state = () => derived(traits(), view.menu.value);
  const of = { models: model.get("_models"), others: model.get("_others") };
  const view = controls(of, { sizes, set, change, choose, state });
  let unpoint = () => {};

  function draw() {
    const now = state();
    view.show(now);
    paintBar(view.bar, now);
    paintMaps(view.maps, now);
    unpoint();
    view.charts.replaceChildren();
    unpoint = paintCharts(view.charts, now, (place) => set({ [now.against === "tokens" ? "n" : "num_heads"]: place }));
    countDrawing(view.root);
  }

  const schedule = scheduler(draw);
  el.append(view.root);
  const ends = [watch(model, SHOWN, schedule), observe(view.root, schedule), () => unpoint(), schedule.cancel];
  schedule();
  return () => {
    for (const end of ends) end();
    view.root.remove();
  };
}

export default { render };
