// @ts-check
// MockInterview: questions one by one, the points of each behind an answer, and the scores of who asks themselves.
//
// All state lives in the traits. A copy of the answers is kept in localStorage: what is typed while no kernel listens
// reaches the next one.

import { put, taken } from "../shared/shelf.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { joined, readKept, STORED_UNDER, same, tidied, withTick } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */

/** @type {import("@anywidget/types").Initialize<Traits>} */
function initialize({ model }) {
  const change = changer(model);
  const since = model.get("_since");
  const present = () => ({ said: model.get("said"), ticked: model.get("ticked") });
  const both = joined(present(), readKept(taken(STORED_UNDER, since), model.get("questions")));
  if (!same(both, present())) {
    change(both);
    change.tell();
  }
  return watch(model, ["said", "ticked"], () => put(STORED_UNDER, since, JSON.stringify(present())));
}

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const change = changer(model);
  const questions = model.get("questions");
  const kernel = "send" in model; // a saved page has none
  const lead = (/** @type {string} */ link) => (kernel ? link : link.replace(".ipynb", ".html"));
  const keyAt = () => questions[Math.min(Math.max(model.get("at"), 0), questions.length - 1)].key;
  const step = (/** @type {number} */ at) => {
    change({ at });
    change.tell(); // a click is no gesture that goes on
  };
  const view = controls(questions, kernel, lead, {
    step,
    go: (at) => {
      step(at);
      view.toQuestion();
    },
    type: (typed) => change({ said: withText(model.get("said"), keyAt(), tidied(typed)) }),
    open: () => {
      change({ ticked: { ...model.get("ticked"), [keyAt()]: [] } });
      change.tell();
    },
    tick: (point, on) => {
      change({ ticked: withTick(model.get("ticked"), keyAt(), point, on) });
      change.tell();
    },
  });
  const shown = () => view.show({ at: model.get("at"), said: model.get("said"), ticked: model.get("ticked") });
  const end = watch(model, ["at", "said", "ticked"], shown);
  shown();
  el.append(view.root);
  return () => {
    end();
    change.tell(); // what was typed in the last tenth of a second
    view.root.remove();
  };
}

/**
 * @param {import("./traits.js").Said} said
 * @param {string} key
 * @param {string} typed
 */
function withText(said, key, typed) {
  const { [key]: _, ...others } = said;
  return typed ? { ...others, [key]: typed } : others;
}

export default { initialize, render };
