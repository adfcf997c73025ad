// @ts-check
// The elements above the numbers: word, head, stage, temperature, mask.

import { chooser } from "../shared/chooser.js";
import { element, field, rootOf, say } from "../shared/dom.js";
import { largest } from "./figures.js";
import { numbersTable } from "./numbers.js";
import { part, vector } from "./paint.js";
import { STAGES, temperatureWords } from "./speech.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Given} Given */
/** @typedef {import("./traits.js").Traits} Traits */

const [COLDEST, HOTTEST] = [-5, 5]; // powers of two at the ends of the slider: spread as unscaled at d_head 1,024
const LONGEST = 8; // numbers of the query that are written out

/**
 * @param {Given} fixed
 * @param {[number, string][]} colours
 * @param {{ change: (traits: Partial<Traits>) => void, next: () => void, play: ReturnType<typeof import("../shared/playing.js").playing> }} acts
 */
export function controls(fixed, colours, { change, next, play }) {
  const { words, H, last } = fixed;
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    element("button", { type: "button", title: text, onclick }, text);
  const line = (/** @type {Node[]} */ ...parts) => part("line", "div", {}, ...parts);
  const pair = (/** @type {(Node | string)[]} */ ...parts) => part("pair", "span", {}, ...parts);
  const token = chooser(words, "the word that looks", (position) => change({ position }));
  const names = Array.from({ length: H }, (_, h) => String(h));
  const head = chooser(names, "head", (h) => change({ head: h }));
  const stage = chooser(STAGES.slice(0, last), "stage", (place) => change({ stage: place + 1 }));
  const query = element("span", { className: "mha-step-vector mha-step-query" });
  const step = button("step ▶", next);
  const playButton = button("play", play.toggle);
  const heat = temperature(change);
  const causal = element("input", { type: "checkbox" });
  causal.onchange = () => change({ causal: causal.checked });
  const explanation = part("explanation", "p", { ariaLive: "polite" });
  const numbers = numbersTable(fixed, colours);
  const asked = pair("q =", query);
  const root = rootOf(
    "mha-step",
    line(pair("Query of", token.node), ...(H > 1 ? [] : [asked])),
    line(...(H > 1 ? [pair("Head", head.node), asked] : []), pair("Stage", stage.node, step, playButton)),
    line(field(causal, "causal mask"), heat.node),
    explanation,
    ...numbers.nodes,
  );
  root.style.setProperty("--mha-features", String(fixed.D));

  /** @param {State} now */
  const show = (now) => {
    token.show(now.row);
    head.show(now.head);
    stage.show(now.stage - 1);
    query.replaceChildren(vector(now.q, largest(now.q), LONGEST));
    step.ariaDisabled = String(now.stage === last); // and not disabled: that would lose the focus
    playButton.textContent = play.on ? "pause" : play.calm ? "all stages" : "play";
    heat.show(now.temperature);
    causal.checked = now.causal;
    numbers.show(now);
  };
  return { root, numbers, show, explain: (/** @type {string} */ words) => say(explanation, words) };
}

/** @param {(traits: Partial<Traits>) => void} change */
function temperature(change) {
  const slider = element("input", { type: "range", min: COLDEST, max: HOTTEST, step: 0.5 });
  const text = element("output");
  const reset = element(
    "button",
    { type: "button", title: "reset", onclick: () => change({ temperature: 1 }) },
    "reset",
  );
  slider.oninput = () => change({ temperature: Number((2 ** Number(slider.value)).toPrecision(4)) });
  const node = part("pair", "span", {}, field("temperature", slider), reset, text);
  /** @param {number} T */
  const show = (T) => {
    slider.value = String(Math.log2(T));
    say(text, temperatureWords(T));
    slider.ariaValueText = text.textContent;
    reset.ariaDisabled = String(T === 1);
  };
  return { node, show };
}
