// @ts-check
// The timings panel: what every head count takes, explicit and fused, measured beside predicted; and the button that
// measures. The kernel measures and tells of it in traits. Everything else, the line at the present head count too, is here.

import { element, field, say, uniqueName } from "../shared/dom.js";
import { watch } from "../shared/traits.js";
import { measuring } from "./measuring.js";
import { qualityChart, qualityWords } from "./quality.js";
import { timingChart } from "./timing_chart.js";
import { kink, sentence, WHY_KINK } from "./timing_words.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("../shared/traits.js").Model<Traits>} Model
 */

const LOWEST = 120; // px of a chart
const TOKENS = /** @type {const} */ ([16, 128, 512]);

/**
 * The panel; place() gives its chart a size.
 * @param {Model} model
 * @param {ReturnType<typeof import("../shared/traits.js").changer<Traits>>} change
 * @param {number[]} counts head counts
 */
export function timingsPanel(model, change, counts) {
  const parts = elements();
  const { node, form, message, words, note, why, picture, brief } = parts;
  /** @type {ReturnType<typeof timingChart> | null} */
  let drawing = null;
  /** @type {unknown[]} */
  let drawnOf = [];
  let size = { width: 440, height: 210 };
  const quality = model.get("source") === "trained" ? qualityView(model, parts.learned) : null;

  const present = () => model.get("timings").find(({ tokens }) => tokens === model.get("timing_tokens"));

  function draw() {
    const result = present();
    const { width, height } = quality ? shared(size) : size;
    const wanted = [result, width, height];
    if (wanted.some((value, i) => value !== drawnOf[i])) {
      drawnOf = wanted;
      drawing = result ? timingChart(result, counts, { width, height }) : null;
      picture.replaceChildren(...(drawing ? [drawing.node] : []));
    }
    drawing?.show(model.get("num_heads"));
  }

  function show() {
    const [heads, n] = [model.get("num_heads"), model.get("timing_tokens")];
    const result = present();
    brief.textContent = result ? sentence(result, heads, true) : "";
    if (!node.open) return;
    quality?.(size);
    draw();
    showMeasuring(parts, work, model);
    const none = `Not measured yet for d_model ${model.get("d_model")} at ${n} tokens: press Measure.`;
    parts.reached.textContent = quality ? qualityWords(trainedHere(model), heads) : "";
    words.textContent = result ? `${sentence(result, heads)}.` : none;
    why.textContent = result && kink(result) ? WHY_KINK : "";
    note.textContent = result?.note ?? "";
  }

  const fold = () => {
    node.open = model.get("timings_open");
    show();
  };
  const work = measuring(model, change.send, () => show());
  form.onsubmit = (event) => event.preventDefault(); // a form, because it keeps the radio buttons of two panels apart
  parts.start.onclick = () => {
    if (parts.start.ariaDisabled !== "true") work.ask("measure");
  };
  parts.stop.onclick = () => work.ask("cancel");
  parts.choices.forEach((choice, i) => {
    choice.onchange = () => change({ timing_tokens: TOKENS[i] });
  });
  node.ontoggle = () => {
    if (node.open !== model.get("timings_open")) change({ timings_open: node.open });
  };
  const ends = [watch(model, ["timing_tokens"], show), watch(model, ["timings_open"], fold), work.dispose];
  say(message, work.words());
  fold();
  return {
    node,
    show,
    /** @param {{ width: number, height: number }} wanted of the chart */
    place(wanted) {
      size = wanted;
    },
    dispose: () => ends.forEach((end) => end()),
  };
}

/**
 * The chart's place, when quality takes half of it.
 * @param {{ width: number, height: number }} size
 */
const shared = ({ width, height }) => ({ width, height: Math.max(LOWEST, height / 2) });

/** @param {Model} model */
const trainedHere = (model) => model.get("_trained").filter(({ sentence }) => sentence === model.get("sentence"));

/**
 * A function that draws what each head count reached, and moves the line in it.
 * @param {Model} model
 * @param {HTMLElement} home
 */
function qualityView(model, home) {
  /** @type {ReturnType<typeof qualityChart> | null} */
  let drawing = null;
  let drawnOf = "";
  return (/** @type {{ width: number, height: number }} */ size) => {
    const wanted = JSON.stringify([model.get("sentence"), size]);
    if (wanted !== drawnOf) {
      drawnOf = wanted;
      const rows = trainedHere(model);
      drawing = rows.length ? qualityChart(rows, shared(size)) : null;
      home.replaceChildren(...(drawing ? [drawing.node] : []));
    }
    drawing?.show(model.get("num_heads"));
  };
}

function elements() {
  const name = uniqueName();
  const choices = TOKENS.map((value) => element("input", { type: "radio", name, value }));
  const [start, stop] = ["Measure", "Cancel"].map((words) => element("button", { type: "button" }, words));
  const bar = element("progress", { max: 1, ariaLabel: "how much is measured" });
  const left = element("small");
  const labels = choices.map((choice, i) => field(choice, `${TOKENS[i]}${i === 2 ? " tokens" : ""}`));
  const form = element("form", { className: "mha-timings-line" }, ...labels, start, bar, left, stop);
  const message = element("p", { role: "status" });
  const words = element("p", { className: "mha-timings-sentence" });
  const why = element("p", { className: "mha-timings-why" });
  const note = element("p", { className: "mha-timings-note" });
  const [learned, picture] = [element("div"), element("div")];
  const reached = element("p", { className: "mha-timings-reached" });
  const brief = element("span");
  const node = element(
    "details",
    { className: "mha-timings" },
    element("summary", {}, element("b", {}, "Timings"), brief),
    element(
      "div",
      {},
      element("div", { className: "mha-timings-charts" }, learned, picture),
      element("div", {}, reached, words, why, form, message, note),
    ),
  );
  return { node, choices, start, stop, bar, left, form, message, words, why, note, learned, picture, reached, brief };
}

/**
 * @param {ReturnType<typeof elements>} parts
 * @param {ReturnType<typeof measuring>} work
 * @param {Model} model
 */
function showMeasuring({ choices, start, stop, bar, left, message }, work, model) {
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
