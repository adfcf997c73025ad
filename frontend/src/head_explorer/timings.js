// @ts-check
// The timings panel: what every head count takes, explicit and fused, measured beside predicted; and the button that
// measures. The kernel measures and tells of it in traits. Everything else, the line at the present head count too, is here.

import { watch } from "../shared/traits.js";
import { measuring } from "./measuring.js";
import { elements, showMeasuring, TOKENS, timingView } from "./timing_view.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("../shared/traits.js").Model<Traits>} Model
 */

/**
 * The panel; place() gives its charts a size.
 * @param {Model} model
 * @param {ReturnType<typeof import("../shared/traits.js").changer<Traits>>} change
 * @param {number[]} counts head counts
 */
export function timingsPanel(model, change, counts) {
  const charts = /** @type {1 | 2} */ (model.get("source") === "trained" ? 2 : 1); // of quality too
  const parts = elements(charts);
  const { node, form, start, stop, choices } = parts;
  const showState = timingView(parts, model, counts);
  /** @type {import("./timing_view.js").Size | null} */
  let size = null;
  let first = 0;
  const show = () => {
    showState(size);
    if (node.open) showMeasuring(parts, work, model);
  };
  const fold = () => {
    node.open = model.get("timings_open");
    show();
  };
  const work = measuring(model, change.send, show);
  form.onsubmit = (event) => event.preventDefault(); // a form, because it keeps the radio buttons of two panels apart
  start.onclick = () => {
    if (start.ariaDisabled !== "true") work.ask("measure");
  };
  stop.onclick = () => work.ask("cancel");
  choices.forEach((choice, i) => {
    choice.onchange = () => change({ timing_tokens: TOKENS[i] });
  });
  node.ontoggle = () => {
    if (node.open !== model.get("timings_open")) change({ timings_open: node.open });
  };
  const ends = [
    watch(model, ["timing_tokens"], show),
    watch(model, ["timings_open"], fold),
    work.dispose,
    () => cancelAnimationFrame(first),
  ];
  fold();
  return {
    node,
    charts,
    /** The maps come first: the charts are drawn a frame after them. */
    show() {
      if (first) show();
      else first = requestAnimationFrame(show);
    },
    /** @param {import("./timing_view.js").Size} wanted of one chart */
    place(wanted) {
      size = wanted;
      parts.picture.style.minHeight = `${wanted.height}px`;
    },
    dispose: () => ends.forEach((end) => end()),
  };
}
