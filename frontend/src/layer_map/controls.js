// @ts-check
// The controls: which attention, and every size as a number, the most telling ones by a slider too.

import { element, field, named, say } from "../shared/dom.js";
import { stepped } from "../shared/keys.js";
import { divisors } from "../shared/numbers.js";
import { kindOf, MOST, problem } from "./state.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("./traits.js").Mode} Mode
 * @typedef {import("./state.js").Size} Size
 * @typedef {import("./state.js").State} State
 * @typedef {(traits: Partial<Traits>) => void} Change
 */

const make = named("mha-layer");
const HINT = "Point at a part, tap it, or walk along with the arrow keys; a click keeps it.";
const LENGTHS = Array.from({ length: 18 }, (_, i) => 2 ** i);
const HEADS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/** @type {{ name: Size, words: string, letter: string, slides?: (traits: Traits) => number[] }[]} */
const FIELDS = [
  { name: "num_heads", words: "heads", letter: "H", slides: headSteps },
  { name: "num_kv_heads", words: "K/V heads", letter: "G", slides: ({ num_heads }) => divisors(num_heads) },
  { name: "tokens", words: "tokens", letter: "N", slides: () => LENGTHS },
  { name: "num_keys", words: "keys", letter: "S" },
  { name: "d_model", words: "d_model", letter: "D" },
  { name: "d_head", words: "d_head", letter: "K" },
  { name: "batch", words: "batch", letter: "B" },
];

/** Head counts that leave no rest, or any where d_head is free. */
function headSteps(/** @type {Traits} */ { d_model, d_head }) {
  return d_head === null ? divisors(d_model).filter((heads) => heads <= MOST.num_heads) : HEADS;
}

/** The place of the largest step that is not above the value. */
const placeOf = (/** @type {number[]} */ steps, /** @type {number} */ value) =>
  Math.max(0, steps.filter((step) => step <= value).length - 1);

/** Key/value heads that go with another number of heads: as many as before, as far as that leaves no rest. */
const sharing = (/** @type {number} */ heads, /** @type {number | null} */ before) =>
  before === null ? null : Math.max(...divisors(heads).filter((g) => g <= before));

/**
 * @param {() => Traits} present
 * @param {Change} change
 * @param {() => void} redraw
 */
export function controls(present, change, redraw) {
  const note = make("note", "p", { role: "status" }, HINT);
  /** @type {Size | ""} */
  let wrong = ""; // whose number there is no layer for: what was typed stays
  const refuse = (/** @type {Size} */ name, /** @type {string} */ words) => {
    wrong = name;
    say(note, words);
    redraw();
  };
  const forgive = () => {
    wrong = "";
    redraw();
  };
  const modes = modeChooser(present, change);
  const sizes = FIELDS.map((one) => sizeField(one, { present, change, refuse, forgive }));
  const tied = element("input", { type: "checkbox" });
  tied.onchange = () => {
    const traits = present();
    const d_head = tied.checked ? null : traits.d_model / traits.num_heads;
    const words = problem({ ...traits, d_head });
    if (words) refuse("d_head", words);
    else change({ d_head });
    tied.checked = present().d_head === null;
  };
  sizes[5].node.append(field(tied, "= D / H"));
  const node = make("controls", "div", {}, modes.node, ...sizes.map((one) => one.node));
  /** @param {State} state */
  const show = (state) => {
    const traits = present();
    modes.show(state.mode);
    for (const one of sizes) one.show(traits, state, one.name === wrong);
    tied.checked = traits.d_head === null;
    note.classList.toggle("mha-layer-wrong", wrong !== "");
    if (!wrong) say(note, HINT);
  };
  return { node, note, show, forgive };
}

/** The four kinds of attention. */
function modeChooser(/** @type {() => Traits} */ present, /** @type {Change} */ change) {
  const names = /** @type {Mode[]} */ (Object.keys(present()._modes));
  const choose = (/** @type {Mode} */ mode) => {
    const { mode: before, tokens, num_keys } = present();
    if (mode === before) return;
    // A cache is about the next token: one is new, and those that were there are kept. Afterwards all are tokens again.
    const lengths = mode === "cache" ? { tokens: 1, num_keys: tokens } : before === "cache" ? { tokens: num_keys } : {};
    change({ mode, ...lengths });
  };
  const buttons = names.map((name) => element("button", { type: "button", role: "radio" }, present()._modes[name]));
  const node = make(
    "modes",
    "div",
    { role: "radiogroup", ariaLabel: "attention", className: "mha-chooser mha-layer-modes" },
    element("span", {}, "attention"),
    ...buttons,
  );
  buttons.forEach((button, i) => {
    button.onclick = () => choose(names[i]);
  });
  node.onkeydown = (event) => {
    const next = stepped(event, buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target)), names.length);
    if (next === null) return;
    event.preventDefault();
    choose(names[next]);
    buttons[next].focus();
  };
  const show = (/** @type {Mode} */ mode) => {
    buttons.forEach((button, i) => {
      button.ariaChecked = String(names[i] === mode);
      button.tabIndex = names[i] === mode ? 0 : -1;
    });
  };
  return { node, show };
}

/**
 * A size: a number that can be typed, and a slider over the steps that make sense.
 * @param {typeof FIELDS[number]} one
 * @param {{ present: () => Traits, change: Change, refuse: (name: Size, words: string) => void, forgive: () => void }} acts
 */
function sizeField({ name, words, letter, slides }, { present, change, refuse, forgive }) {
  const number = element("input", {
    type: "number",
    min: 1,
    max: MOST[name],
    step: 1,
    ariaLabel: `${words} ${letter}`,
  });
  const slider = element("input", { type: "range", min: 0, step: 1, ariaLabel: `${words} ${letter}, by steps` });
  const node = make("size", "div", { role: "group", ariaLabel: words });
  const kind = element("output");
  node.append(element("span", {}, words, " ", element("i", {}, letter)), ...(slides ? [slider] : []), number);
  if (name === "num_kv_heads") node.append(kind);

  const moved = (/** @type {number} */ value) => {
    const { num_heads, num_kv_heads } = present();
    if (name === "num_heads") return { num_heads: value, num_kv_heads: sharing(value, num_kv_heads) };
    if (name === "num_kv_heads") return { num_kv_heads: value === num_heads ? null : value };
    return { [name]: value };
  };
  slider.oninput = () =>
    change(moved(/** @type {NonNullable<typeof slides>} */ (slides)(present())[Number(slider.value)]));
  const typed = (/** @type {boolean} */ ended) => {
    const asked = { ...present(), [name]: number.value === "" ? Number.NaN : Number(number.value) };
    const answer = problem(asked);
    if (!answer) {
      forgive(); // also where the number is again what it was
      change(name === "num_kv_heads" ? moved(asked.num_kv_heads ?? 1) : { [name]: asked[name] });
    } else if (ended) refuse(name, answer);
  };
  number.oninput = () => typed(false);
  number.onchange = () => typed(true);

  const show = (/** @type {Traits} */ traits, /** @type {State} */ { sizes }, /** @type {boolean} */ wrong) => {
    const value = sizes[/** @type {"B"} */ (letter)];
    number.ariaInvalid = String(wrong);
    if (!wrong && number.value !== String(value)) number.value = String(value);
    number.step = name === "d_model" && traits.d_head === null ? String(traits.num_heads) : "1";
    number.min = number.step;
    number.disabled = name === "num_keys" && (traits.mode === "self" || traits.mode === "causal");
    say(kind, kindOf(sizes));
    if (!slides) return;
    const steps = slides(traits);
    slider.max = String(steps.length - 1);
    slider.value = String(placeOf(steps, value));
    slider.ariaValueText = name === "num_kv_heads" ? `${value}, ${kindOf(sizes)}` : String(value);
  };
  return { node, name, show };
}
