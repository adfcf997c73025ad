// @ts-check
// OutputMixer: Concat · W^O as the sum of what every head adds; heads are switched on and off.
//
// All state lives in the model's traits, and draw() reads them afresh: traits → state → controls, paint and speech. The
// arithmetic is done here, without the kernel.

import { countDrawing, scheduler } from "../shared/frames.js";
import { changer, watch } from "../shared/traits.js";
import { controls } from "./controls.js";
import { derived, given, nextOff, toggled } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */

const PAUSE = 1100; // ms between two heads when they are added one by one

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const fixed = given(model);
  const change = changer(model);
  const active = () => model.get("active");
  const growth = growing(model, change, () => schedule());
  const alone = (/** @type {number[]} */ heads) => {
    growth.stop();
    change({ active: heads });
  };
  const view = controls(fixed, {
    choose: (position) => change({ position, hovered: -1 }),
    toggle: (head) => alone(toggled(active(), head)),
    all: () => alone(Array.from({ length: fixed.H }, (_, h) => h)),
    none: () => alone([]),
    grow: () => (growth.on() ? growth.stop() : growth.start()),
    point: (hovered) => hovered !== model.get("hovered") && change({ hovered }),
  });

  const schedule = scheduler(() => {
    const [position, hovered] = [model.get("position"), model.get("hovered")];
    view.show(derived(fixed, { position, hovered, active: active() }), growth.on());
    countDrawing(view.root);
  });
  el.append(view.root);
  const end = watch(model, ["position", "active", "hovered"], schedule);
  schedule();
  return () => {
    growth.stop();
    schedule.cancel();
    view.dispose();
    end();
    view.root.remove();
  };
}

/**
 * Heads come on one by one; who wants no motion adds each by a press.
 * @param {import("./traits.js").Model} model
 * @param {(traits: Partial<Traits>) => void} change
 * @param {() => void} changed it begins or ends
 */
function growing(model, change, changed) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const next = () => nextOff(model.get("active"), model.get("num_heads"));
  const add = () => {
    const head = next();
    if (head !== undefined) change({ active: toggled(model.get("active"), head) });
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    changed();
  };
  const start = () => {
    if (calm.matches && next() !== undefined) return add();
    change({ active: [] });
    if (calm.matches) return;
    timer = setInterval(() => {
      add();
      if (next() === undefined) stop();
    }, PAUSE);
    changed();
  };
  return { start, stop, on: () => timer !== undefined };
}

export default { render };
