// @ts-check
// ModelTable: the published models as a table that one can sort and ask, and as dots of any two of its numbers.
//
// All state lives in the model's traits, and draw() reads them afresh: traits → state → layout → rows, paint and speech.
// Sorting, asking and pointing need no kernel.

import { drawn } from "../shared/dom.js";
import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { pointing } from "../shared/pointing.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { nearest, plotOf } from "./layout.js";
import { plotting } from "./paint.js";
import { derived } from "./state.js";
import { NAMES } from "./traits.js";

/** @typedef {import("./traits.js").Traits} Traits */

const HEIGHT = 180; // of the plot
const REACH = { mouse: 14, finger: 30 }; // pixels from a dot that one may miss it by

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const change = changer(model);
  /** @returns {Traits} all that is shown follows from them */
  const present = () => /** @type {any} */ (Object.fromEntries(NAMES.map((name) => [name, model.get(name)])));
  const svg = drawn("svg", { class: "mha-models-drawing", role: "img" });
  const picture = plotting(svg);
  const view = controls(present, change, svg);
  /** @type {import("./layout.js").Plot} */
  let plot;
  let drawnFor = ""; // what, and on which width: pointing alone moves no dot and no row
  let opened = "";

  const schedule = scheduler(() => {
    const { pointed: _, ...others } = present();
    const { _models, _columns, _features, ...chosen } = others;
    const now = derived(present());
    const width = view.figure.clientWidth;
    const asked = JSON.stringify([width, chosen]);
    if (width && asked !== drawnFor) {
      drawnFor = asked;
      view.show(now);
      plot = plotOf(now, width, HEIGHT);
      picture.paint(plot, width, HEIGHT);
      if (opened !== chosen.model) view.reveal(chosen.model);
      opened = chosen.model;
    }
    if (!plot) return; // hidden: nothing has a width yet
    picture.mark(now);
    view.mark(now, plot.missing);
    countDrawing(view.root);
  });

  const dotAt = (/** @type {import("../shared/pointing.js").Spot} */ { clientX, clientY, pointerType }) => {
    const box = svg.getBoundingClientRect();
    const reach = pointerType === "mouse" ? REACH.mouse : REACH.finger;
    return nearest(plot?.dots ?? [], clientX - box.left, clientY - box.top, reach);
  };
  const unpoint = pointing(svg, {
    read(spot) {
      const name = dotAt(spot);
      view.point(name ?? "");
      if (name) view.reveal(name);
      return name;
    },
    pin: (spot) => view.open(dotAt(spot) ?? ""),
    clear: () => view.point(""),
  });
  el.append(view.root);
  const ends = [watch(model, NAMES, schedule), observe(view.root, schedule), unpoint, schedule.cancel];
  schedule();
  return () => {
    for (const end of ends) end();
    view.root.remove();
  };
}

export default { render };
