// @ts-check
// TrueOrFalse: statements with two radio buttons each. Which answers are right is not in here, nor in the model's traits.
//
// All state lives in the trait `answers`. A copy is kept in localStorage, so that a reload, or another lesson at the same
// address, finds it again.

import { put, taken } from "../shared/shelf.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { readAnswers, sameAnswers, shelf } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */

/**
 * What the browser kept completes the model's own answers: where both have one, the model's stays.
 * @type {import("@anywidget/types").Initialize<Traits>}
 */
function initialize({ model }) {
  const keys = model.get("_statements").map(({ key }) => key);
  const [name, since] = [shelf(model.get("again")), model.get("_since")];
  const set = setter(model);
  const kept = () => readAnswers(taken(name, since), keys) ?? {};
  /** @param {import("./traits.js").Answers} answers */
  const take = (answers) => sameAnswers(answers, model.get("answers"), keys) || set(answers);
  const changed = () => {
    const answers = model.get("answers");
    put(name, since, Object.keys(answers).length ? JSON.stringify(answers) : null);
  };
  /** @param {StorageEvent} event */
  const elsewhere = (event) => {
    if (event.key === name || event.key === null) take(kept()); // null: everything was cleared
  };
  take({ ...kept(), ...model.get("answers") });
  changed();
  const end = watch(model, ["answers"], changed);
  window.addEventListener("storage", elsewhere); // another tab
  return () => {
    end();
    window.removeEventListener("storage", elsewhere);
  };
}

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const set = setter(model);
  const { root, show } = controls(model.get("_statements"), {
    answer: (key, value) => set({ ...model.get("answers"), [key]: value }),
    clear: () => set({}),
  });
  const shown = () => show(model.get("answers"));
  const end = watch(model, ["answers"], shown);
  shown();
  el.append(root);
  return () => {
    end();
    root.remove();
  };
}

/** @param {import("./traits.js").Model} model */
function setter(model) {
  const change = changer(model);
  /** @param {import("./traits.js").Answers} answers */
  return (answers) => {
    change({ answers });
    change.tell(); // a click is no gesture that goes on
  };
}

export default { initialize, render };
