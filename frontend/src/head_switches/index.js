// @ts-check
// HeadSwitches: a model's heads as switches, and what it predicts with some of them off.
//
// All state lives in the model's traits, and draw() reads them afresh. Python predicts; what it has said before answers at once.

import { countDrawing, scheduler } from "../shared/frames.js";
import { kernelOf } from "../shared/kernel.js";
import { watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { silence } from "./speech.js";
import { compared, given, keyOf } from "./state.js";
import { waiting } from "./waiting.js";

/** @typedef {import("./traits.js").Traits} Traits */

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const fixed = given(model);
  const words = silence(fixed);
  const kernel = kernelOf(model);
  let absent = model.get("can_predict") ? "" : words.none; // in words, where there is no Python to ask

  /** @param {import("./traits.js").Head[]} off */
  const set = (off) => {
    model.set("off", off);
    try {
      model.save_changes(); // while Python is at one state, the host keeps the newest and sends it alone
    } catch {
      absent ||= words.none; // what is known still answers
    }
    schedule();
  };
  const view = controls(fixed, { off: () => model.get("off"), set });
  const wait = waiting(words, view.tell);

  /** What Python has said for the present heads: rows, or undefined. */
  function learn() {
    const [off, found] = model.get("_answer");
    if (off && found?.length) fixed.known.set(keyOf(off), found);
    return fixed.known.get(keyOf(model.get("off")));
  }

  /** Says in words what keeps an answer away: an error, Python at work, or nobody there. */
  function say(/** @type {boolean} */ told) {
    const failed = model.get("message") && keyOf(model.get("_answer")[0] ?? []) === keyOf(model.get("off"));
    if (told || failed || absent) wait.end();
    if (told || failed) view.tell(failed ? model.get("message") : "");
    else if (absent) view.tell(absent);
    else wait.begin();
  }

  const schedule = scheduler(() => {
    const found = learn();
    view.show(compared(found, fixed.before), Boolean(found));
    say(Boolean(found));
    countDrawing(view.root);
  });
  const heard = () => {
    wait.end(); // an answer, though perhaps a late one: Python is there
    schedule();
  };
  const lost = () => {
    absent = words.gone;
    schedule();
  };
  el.append(view.root);
  const ends = [watch(model, ["off", "message"], schedule), watch(model, ["_answer"], heard), kernel.onLost(lost)];
  schedule();
  return () => {
    schedule.cancel();
    wait.end();
    for (const end of ends) end();
    kernel.dispose();
    view.root.remove();
  };
}

export default { render };
