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
import { derived, pointedAt } from "./state.js";
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
  /** @type {import("./state.js").State} */
  let now;
  let drawnFor = ""; // what, and on which width: pointing alone moves no dot and no row
  let plottedFor = "";
  let opened = "";

  const schedule = scheduler(() => {
    const traits = present();
    const { pointed, _models, _columns, _features, ...chosen } = traits;
    const width = view.figure.clientWidth;
    const asked = JSON.stringify([width, chosen]);
    if (width && asked !== drawnFor) {
      drawnFor = asked;
      now = derived(traits);
      view.show(now);
      const plotted = JSON.stringify([width, now.across, now.up, now.ask]); // another order moves no dot
      if (plotted !== plottedFor) {
        plottedFor = plotted;
        plot = plotOf(now, width, HEIGHT);
        picture.paint(plot, now, width, HEIGHT);
      }
      if (opened !== chosen.model) view.reveal(chosen.model);
      opened = chosen.model;
    }
    if (!plot) return; // hidden: nothing has a width yet
    now = pointedAt(now, pointed);
    picture.mark(now);
    view.mark(now, plot.missing);
    countDrawing(view.root);
  });

  const unpoint = pointingAtDots(svg, view, () => plot?.dots ?? []);
  el.append(view.root);
  const ends = [watch(model, NAMES, schedule), observe(view.root, schedule), unpoint, schedule.cancel];
  schedule();
  return () => {
    for (const end of ends) end();
    view.root.remove();
  };
}

/**
 * A dot that is pointed at is read, and its row shown; a click or a second tap opens it. Gives what ends the pointing.
 * @param {SVGSVGElement} svg
 * @param {Pick<ReturnType<typeof controls>, "point" | "open" | "reveal">} view
 * @param {() => import("./layout.js").Dot[]} dots
 */
function pointingAtDots(svg, { point, open, reveal }, dots) {
  const dotAt = (/** @type {import("../shared/pointing.js").Spot} */ { clientX, clientY, pointerType }) => {
    const box = svg.getBoundingClientRect();
    const reach = pointerType === "mouse" ? REACH.mouse : REACH.finger;
    return nearest(dots(), clientX - box.left, clientY - box.top, reach);
  };
  return pointing(svg, {
    read(spot) {
      const name = dotAt(spot);
      point(name ?? "");
      if (name) reveal(name);
      return name;
    },
    pin: (spot) => open(dotAt(spot) ?? ""),
    clear: () => point(""),
  });
}

export default { render };
