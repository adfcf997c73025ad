// @ts-check
// AttentionStepper: how one query becomes one output: q·k → scale → mask → softmax → Σ w·v, and W^O over all heads.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { countDrawing, observe, scheduler } from "../shared/frames.js";
import { stepped } from "../shared/keys.js";
import { playing } from "../shared/playing.js";
import { changer, watch } from "../shared/traits.js";
import { quoted } from "../shared/words.js";
import { controls } from "./controls.js";
import { pointingAt } from "./numbers.js";
import { explain, explainSum } from "./speech.js";
import { columnOf, derived, featureOf, given, keyOf } from "./state.js";

/** @typedef {import("./traits.js").Traits} Traits */
/** @typedef {import("./state.js").State} State */

const PAUSE = 1300; // ms between the stages

/** @type {import("@anywidget/types").Render<Traits>} */
function render({ model, el }) {
  const fixed = given(model);
  const { D, last } = fixed;
  const change = changer(model);
  const go = (/** @type {number} */ stage) => stage >= 1 && stage <= last && change({ stage });
  const acts = { at: () => model.get("stage"), first: 1, last: () => last, go, changed: () => schedule() };
  const play = playing({ ...acts, pause: PAUSE });
  const next = () => go(model.get("stage") + 1);
  const view = controls(fixed, model.get("_colours"), { change, next, play });
  let now = present(); // what is drawn: pointing at it changes none of its numbers

  function present() {
    const names = /** @type {const} */ (["position", "head", "stage", "temperature", "causal"]);
    const chosen = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    return derived(fixed, /** @type {import("./state.js").Chosen} */ (chosen));
  }
  const schedule = scheduler(() => {
    now = present();
    view.show(now);
    point();
    countDrawing(view.root);
  });

  /** What is pointed at, marked and written out. */
  function point() {
    if (now.adding) view.numbers.markFeature(featureOf(now, model.get("feature")));
    else view.numbers.markKey(keyOf(now, model.get("hovered")));
    view.explain(said(fixed, now, { hovered: model.get("hovered"), feature: model.get("feature") }));
  }

  /** @param {"hovered" | "feature" | "head"} trait */
  const set = (trait) => (/** @type {number} */ value) => value !== model.get(trait) && change({ [trait]: value });
  view.numbers.frame.addEventListener("keydown", (event) => {
    const at = present(); // keys come faster than frames: from where the last one led, not from what is drawn
    const move = moved(event, at, { fixed, hovered: model.get("hovered"), feature: model.get("feature") });
    if (!move) return;
    event.preventDefault();
    change(move);
  });
  el.append(view.root);
  const read = { adding: () => now.adding, key: set("hovered"), feature: set("feature"), head: set("head") };
  const ends = [
    watch(model, ["position", "head", "stage", "temperature", "causal"], schedule),
    watch(model, ["hovered", "feature"], () => schedule.pending || point()),
    observe(view.numbers.frame, schedule),
    pointingAt(view.numbers.table, D, read),
  ];
  schedule();
  return () => {
    play.pause();
    schedule.cancel();
    for (const end of ends) end();
    view.root.remove();
  };
}

/**
 * The arithmetic of what is pointed at.
 * @param {import("./state.js").Given} fixed
 * @param {State} now
 * @param {{ hovered: number, feature: number }} pointed
 */
function said({ words, features, width }, now, pointed) {
  const shown = words.map(quoted);
  if (!now.adding) {
    const j = keyOf(now, pointed.hovered);
    return explain(now.stage, { ...now, width, words: shown, j, k: now.k[j], v: now.v[j], now });
  }
  const feature = featureOf(now, pointed.feature);
  const column = columnOf(now, feature);
  return explainSum({ ...now, feature, column, name: quoted(features[feature]), word: shown[now.row] });
}

/**
 * What a key changes: across the stage or the feature, up and down the key or the head. null where it changes nothing.
 * @param {KeyboardEvent} event
 * @param {State} now
 * @param {{ fixed: import("./state.js").Given, hovered: number, feature: number }} at
 * @returns {Partial<Traits> | null}
 */
function moved(event, now, { fixed: { H, D, last, words }, hovered, feature }) {
  if (event.key === "Escape") return { hovered: -1, feature: -1 };
  const across = event.key === "ArrowLeft" || event.key === "ArrowRight";
  /** @type {[keyof Traits, number, number, number]} */
  const [trait, place, count, first] = now.adding
    ? across
      ? ["feature", featureOf(now, feature), D, 0]
      : ["head", now.head, H, 0]
    : across
      ? ["stage", now.stage, last, 1]
      : ["hovered", keyOf(now, hovered), words.length, 0];
  const next = stepped(event, place - first, count);
  return next === null ? null : { [trait]: next + first };
}

export default { render };
