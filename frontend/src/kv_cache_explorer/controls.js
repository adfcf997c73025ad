// @ts-check
// The elements: menus, sliders, and the places of what is shown.

import { element, field, named, rootOf, say } from "../shared/dom.js";
import { layerStrip } from "../shared/layer_strip.js";
import { modelsMenu } from "../shared/models_menu.js";
import { grouped, plural } from "../shared/numbers.js";
import { slider } from "../shared/slider.js";
import { disclosure } from "../shared/table.js";
import {
  chartTable,
  kindsTable,
  modelsTable,
  noteInWords,
  partsInWords,
  speedInWords,
  tokenInWords,
  totalInWords,
} from "./speech.js";
import { nearestStep } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./traits.js").Traits} Traits */

const part = named("mha-cache");
const SPEEDS = { min: 1, max: 4, step: 0.02 }; // powers of ten: 10 GB/s … 10,000 GB/s

/**
 * @param {number[]} values
 * @param {(value: number) => string} words
 * @param {(value: number) => void} onChange
 */
function choice(values, words, onChange) {
  const options = values.map((value) => element("option", { value: String(value) }, words(value)));
  const node = element("select", {}, ...options);
  node.onchange = () => onChange(Number(node.value));
  return node;
}

/** @param {string} words @param {...Node} parts */
const labelled = (words, ...parts) => field(element("span", {}, words), ...parts);

/**
 * @param {Pick<Traits, "_presets" | "_others" | "_contexts" | "_batches">} of
 * @param {{ change: (traits: Partial<Traits>) => void, state: () => State }} acts
 */
export function controls(of, { change, state }) {
  const inputs = makeInputs(of, { change, state });
  const [total, formula, parts, speed] = [part("total", "p"), element("p"), part("parts", "ul"), part("speed", "p")];
  const [note, source] = [part("note", "p"), part("note", "p")];
  const strip = layerStrip();
  const bars = part("bars", "div");
  const figure = part("chart", "figure");
  const tables = [
    ["all models at this context", "Comparison", modelsTable],
    ["all layers of this model", "Layer by layer", kindsTable],
    ["the chart in numbers", "The chart as a table", chartTable],
  ].map(([title, label, make]) =>
    disclosure({
      className: "mha-cache-table",
      label: String(label),
      title: String(title),
      make: () => [/** @type {(state: State) => Node} */ (make)(state())],
    }),
  );
  const root = rootOf(
    "mha-cache",
    inputs.node,
    part("now", "div", { ariaLive: "polite" }, total, formula, speed),
    strip.node,
    part("pictures", "div", {}, bars, figure),
    parts,
    note,
    source,
    ...tables.map(({ node }) => node),
  );

  /** @param {State} now */
  const show = (now) => {
    inputs.show(now);
    say(total, totalInWords(now));
    say(formula, tokenInWords(now));
    const lines = partsInWords(now);
    if (lines.join() !== [...parts.children].map((line) => line.textContent).join()) {
      parts.replaceChildren(...lines.map((line) => element("li", {}, line)));
    }
    say(speed, speedInWords(now));
    say(note, noteInWords(now));
    say(source, `Sizes: ${now.model.source}`);
    strip.show(now.model);
    for (const { update } of tables) update();
    Object.assign(root.dataset, { bytes: now.bytes, token: now.token, rate: now.rate });
  };
  return { root, bars, figure, show };
}

/**
 * @param {Pick<Traits, "_presets" | "_others" | "_contexts" | "_batches">} of
 * @param {{ change: (traits: Partial<Traits>) => void, state: () => State }} acts
 */
function makeInputs({ _presets, _others, _contexts, _batches }, { change, state }) {
  const which = modelsMenu(_presets, _others);
  which.onchange = () => {
    const next = _presets.find(({ name }) => name === which.value);
    if (next) change({ model: next.name, context: next.context, num_kv_heads: next.num_kv_heads });
  };
  const width = choice(
    [4, 2, 1],
    (bytes) => `${bytes} (${8 * bytes} bits)`,
    (bytes) => change({ bytes_per_number: bytes }),
  ); // prettier-ignore
  const budget = choice(
    [8, 16, 24, 80],
    (gib) => `${gib} GiB`,
    (gib) => change({ budget: gib }),
  ); // prettier-ignore
  const context = slider(_contexts.length, (place) => change({ context: _contexts[place] }));
  const batch = slider(_batches.length, (place) => change({ batch: _batches[place] }));
  const heads = slider(1, (place) => change({ num_kv_heads: state().choices[place] }));
  const speedOf = (/** @type {number} */ power) => Number((10 ** power).toPrecision(2));
  const bandwidth = slider(1, (power) => change({ bandwidth: speedOf(power) }), SPEEDS);
  const node = part(
    "controls",
    "div",
    {},
    labelled("model", which),
    labelled("context", context.node, context.text),
    labelled("key/value heads", heads.node, heads.text),
    labelled("texts at once", batch.node, batch.text),
    labelled("bytes a number", width),
    labelled("bandwidth", bandwidth.node, bandwidth.text),
    labelled("memory for it", budget),
  );

  /** @param {State} now */
  const show = (now) => {
    const { model, choices } = now;
    which.value = model.name;
    width.value = String(now.width);
    budget.value = String(now.budget);
    context.show(nearestStep(_contexts, now.context), plural(now.context, "token"));
    batch.show(nearestStep(_batches, now.batch), grouped(now.batch));
    heads.node.max = String(choices.length - 1);
    heads.node.disabled = now.heads === null;
    const place = now.heads === null ? choices.length - 1 : choices.indexOf(now.heads);
    heads.show(place, now.heads === null ? "one latent" : `${now.heads} of ${model.num_heads}`);
    const power = Math.log10(now.bandwidth);
    const held = Number(bandwidth.node.value); // a finger's place, of which the bandwidth is a rounded number
    bandwidth.show(Math.abs(held - power) > 0.03 ? power : held, `${grouped(now.bandwidth)} GB/s`);
  };
  return { node, show };
}
