// @ts-check
// What the timings panel shows: its charts, and the present head count in words.

import { element, field, say, uniqueName } from "../shared/dom.js";
import { qualityChart, qualityWords } from "./quality.js";
import { timingChart } from "./timing_chart.js";
import { kink, sentence, WHY_KINK } from "./timing_words.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("../shared/traits.js").Model<Traits>} Model
 * @typedef {{ node: Node, show: (heads: number) => void }} Drawing
 * @typedef {{ width: number, height: number }} Size
 */

export const TOKENS = /** @type {const} */ ([16, 128, 512]);

/** @param {number} count of charts */
export function elements(count) {
  const name = uniqueName();
  const choices = TOKENS.map((value) => element("input", { type: "radio", name, value }));
  const [start, stop] = ["Measure", "Cancel"].map((words) => element("button", { type: "button" }, words));
  const bar = element("progress", { max: 1, ariaLabel: "how much is measured" });
  const left = element("small");
  const labels = choices.map((choice, i) => field(choice, `${TOKENS[i]}${i === 2 ? " tokens" : ""}`));
  const form = element("form", { className: "mha-heads-timings-line" }, ...labels, start, bar, left, stop);
  const message = element("p", { role: "status" });
  const said = (/** @type {string} */ name) => element("p", { className: `mha-heads-timings-${name}` });
  const [reached, words, why, note] = ["reached", "sentence", "why", "note"].map(said);
  const [learned, picture] = [element("div"), element("div")];
  const charts = element("div", { className: "mha-heads-timings-charts" }, learned, picture);
  const brief = element("span");
  const node = element(
    "details",
    { className: count > 1 ? "mha-heads-timings mha-heads-timings-two" : "mha-heads-timings" },
    element("summary", {}, element("b", {}, count > 1 ? "Quality and timings" : "Timings"), brief),
    element("div", {}, charts, element("div", {}, reached, words, why, form, message, note)),
  );
  return { node, choices, start, stop, bar, left, form, message, words, why, note, learned, picture, reached, brief };
}

/** @typedef {ReturnType<typeof elements>} Parts */

/**
 * A function that keeps a drawing in its place: it is made again when it shows something else, and its line moves with the
 * head count.
 * @param {HTMLElement} home
 */
function drawnIn(home) {
  /** @type {Drawing | null} */
  let drawing = null;
  /** @type {unknown[]} */
  let drawnOf = [];
  /**
   * @param {unknown[]} wanted
   * @param {number} heads
   * @param {() => Drawing | null} make
   */
  return (wanted, heads, make) => {
    if (wanted.some((value, i) => value !== drawnOf[i])) {
      [drawnOf, drawing] = [wanted, make()];
      home.replaceChildren(...(drawing ? [drawing.node] : []));
    }
    drawing?.show(heads);
  };
}

/** What was timed where the maps show something else: no head shared its keys, and nothing was masked. */
const beside = (/** @type {Model} */ model) =>
  [model.get("num_kv_heads") && "own keys", (model.get("causal") || model.get("window")) && "no mask"]
    .filter(Boolean)
    .join(", ");

/**
 * A function that shows the present state, in charts of this size as soon as they have one.
 * @param {Parts} parts
 * @param {Model} model
 * @param {number[]} counts
 */
export function timingView(parts, model, counts) {
  const [drawQuality, drawTimes] = [drawnIn(parts.learned), drawnIn(parts.picture)];
  const trained = model.get("source") === "trained";
  return (/** @type {Size | null} */ size) => {
    const [heads, n, here] = [model.get("num_heads"), model.get("timing_tokens"), model.get("sentence")];
    const result = model.get("timings").find(({ tokens }) => tokens === n);
    parts.brief.textContent = result ? sentence(result, heads, true) : "";
    if (!parts.node.open) return;
    const rows = trained ? model.get("_trained").filter((row) => row.sentence === here) : [];
    if (size) {
      const { width, height } = size;
      drawQuality([here, width, height], heads, () => (rows.length ? qualityChart(rows, size) : null));
      drawTimes([result, width, height], heads, () => (result ? timingChart(result, counts, size) : null));
    }
    const none = `Not measured yet for d_model ${model.get("d_model")} at ${n} tokens: press Measure.`;
    say(parts.reached, qualityWords(rows, heads));
    say(parts.words, result ? `${sentence(result, heads, false, beside(model))}.` : none);
    const bend = result && kink(result)?.heads;
    say(parts.why, bend && (!trained || bend === heads) ? WHY_KINK : "");
    say(parts.note, result?.note ?? "");
  };
}

/**
 * Shows how far a measurement is.
 * @param {Parts} parts
 * @param {ReturnType<typeof import("./measuring.js").measuring>} work
 * @param {Model} model
 */
export function showMeasuring({ choices, start, stop, bar, left, message }, work, model) {
  const [running, busy] = [work.running(), work.busy()];
  choices.forEach((choice, i) => {
    Object.assign(choice, { checked: TOKENS[i] === model.get("timing_tokens"), disabled: busy });
  });
  start.ariaDisabled = String(busy || !work.canAsk); // it keeps the keyboard's focus, as disabled would not
  if (!running && stop.matches(":focus")) start.focus();
  bar.hidden = left.hidden = stop.hidden = !running;
  bar.value = model.get("progress");
  const seconds = Math.ceil(model.get("seconds_left"));
  left.textContent = seconds ? `about ${seconds} s left` : "";
  say(message, work.words());
}
