// @ts-check
// Guess: a question that is answered before a cell answers it. The right answer is not in here, nor in the model's traits.

import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";

/** @type {import("@anywidget/types").Render<import("./traits.js").Traits>} */
function render({ model, el }) {
  const change = changer(model);
  const kernel = "send" in model; // a saved page has none
  const { root, show } = controls(model.get("question"), model.get("choices"), kernel, (answer) => {
    change({ answer });
    change.tell(); // a click is no gesture that goes on
  });
  const shown = () => show(model.get("answer"), model.get("_seen"));
  const end = watch(model, ["answer", "_seen"], shown);
  shown();
  el.append(root);
  return () => {
    end();
    root.remove();
  };
}

export default { render };
