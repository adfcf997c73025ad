// AttentionStepper: how one query becomes one output, in five stages: q·k → scale → mask → softmax → Σ w·v.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { changer, countDrawing, decoded, element, scheduler, shownWords, stepped, watch } from "./_shared.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/**
 * The five stages for one row of query: { scores, scaled, allowed, weights, terms, output, entropy }.
 * query and key hold n rows of `width` numbers, value n rows of `valueWidth`; scaled = scores / (√width · temperature);
 * allowed[j] says whether the row may see token j; terms[j] = weights[j] · value[j]. entropy is in nats.
 */
export function stages({ query, key, value, n, width, valueWidth, row, temperature = 1, causal = false, mask = null }) {
  const rowOf = (data, i, size) => Array.from(data.subarray(i * size, (i + 1) * size));
  const q = rowOf(query, row, width);
  const scores = Array.from({ length: n }, (_, j) => rowOf(key, j, width).reduce((sum, k, i) => sum + q[i] * k, 0));
  const scaled = scores.map((score) => score / (Math.sqrt(width) * temperature));
  const allowed = scores.map((_, j) => (!causal || j <= row) && (!mask || mask[row * n + j] === 1));
  const weights = softmax(scaled, allowed);
  const terms = weights.map((weight, j) => rowOf(value, j, valueWidth).map((v) => weight * v));
  const output = terms.reduce((sum, term) => sum.map((s, i) => s + term[i]), Array(valueWidth).fill(0));
  const entropy = -weights.reduce((sum, w) => sum + (w > 0 ? w * Math.log(w) : 0), 0);
  return { scores, scaled, allowed, weights, terms, output, entropy };
}

/** Softmax over the allowed scores, 0 elsewhere; all 0 where nothing is allowed. */
export function softmax(scores, allowed) {
  const top = Math.max(...scores.filter((_, j) => allowed[j]));
  const powers = scores.map((score, j) => (allowed[j] ? Math.exp(score - top) : 0));
  const sum = powers.reduce((total, power) => total + power, 0);
  return sum > 0 ? powers.map((power) => power / sum) : powers;
}

/** A number in few characters, with a true minus sign. */
export function short(value) {
  if (Math.abs(value) < 5e-7) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1000
      ? value.toExponential(1)
      : size >= 100
        ? value.toFixed(0)
        : size >= 10
          ? value.toFixed(1)
          : value.toFixed(2);
  const plain = /\.\d*0+$/.test(text) && Number.isInteger(value) ? String(value) : text;
  return plain.replace("-", "−");
}

/** The end of a scale that holds `reach`: 1, 2, 3, 4, 5, 6 or 8 times a power of ten. */
export function roundUp(reach) {
  const power = 10 ** Math.floor(Math.log10(reach));
  return power * [1, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= reach * (1 - 1e-9));
}

/** A weight as the lessons print it. */
const share = (weight) => weight.toFixed(3);

/** The arithmetic of one stage for one key, in words. */
export function explain(stage, { q, k, v, j, width, temperature, words, row, now }) {
  const pair = `${words[row]} → ${words[j]}: `;
  const bracket = (x) => (x < 0 ? `(${short(x)})` : short(x));
  const list = (numbers) => (numbers.length > 8 ? `${numbers.length} numbers` : `[${numbers.map(short).join(", ")}]`);
  if (stage > 2 && !now.allowed[j]) return `${pair}masked: score −∞, and e^−∞ = 0, so its weight is 0`;
  if (stage === 1) {
    const products = q.map((x, i) => `${bracket(x)}·${bracket(k[i])}`);
    return `${pair}q·k = ${width > 8 ? `a sum of ${width} products` : products.join(" + ")} = ${short(now.scores[j])}`;
  }
  if (stage === 2) {
    const divisor = temperature === 1 ? `√${width}` : `(√${width} · ${short(temperature)})`;
    return `${pair}${short(now.scores[j])} / ${divisor} = ${short(now.scaled[j])}`;
  }
  if (stage === 3) return `${pair}may look: the score stays ${short(now.scaled[j])}`;
  if (stage === 4) {
    const seen = now.scaled.filter((_, i) => now.allowed[i]);
    const sum = seen.reduce((total, score) => total + Math.exp(score), 0);
    if (!(sum > 1e-6 && sum < 1e6))
      return `${pair}e^${short(now.scaled[j])} is ${share(now.weights[j])} of the sum of all`;
    const whole =
      seen.length > 4 ? `sum of ${seen.length} powers` : `(${seen.map((score) => `e^${short(score)}`).join(" + ")})`;
    return `${pair}e^${short(now.scaled[j])} / ${whole} = ${short(Math.exp(now.scaled[j]))} / ${short(sum)} = ${share(now.weights[j])}`;
  }
  return `${pair}${share(now.weights[j])} · ${list(v)} = ${list(now.terms[j])}; these add up to the output`;
}

// ----------------------------------------------------------------------------------------------------------------- page

const PAUSE = 1300; // ms between the stages when playing
const COLDEST = -1.5; // powers of ten at the ends of the temperature slider
const HOTTEST = 1.5;

/** The colour of a weight from 0 to 1, between the two anchors [index, "#rrggbb"] around it. */
function weightColour(weight, anchors) {
  const index = Math.round(255 * weight);
  const after = Math.max(
    1,
    anchors.findIndex(([at]) => at >= index),
  );
  const [[from, first], [to, last]] = [anchors[after - 1], anchors[after]];
  return `color-mix(in srgb, ${last} ${((index - from) / (to - from)) * 100}%, ${first})`;
}

function initialize({ model }) {
  const stay = () => {
    const n = model.get("tokens").length;
    if (model.get("hovered") >= n) model.set("hovered", -1);
  };
  return watch(model, ["tokens"], stay);
}

function render({ model, el }) {
  const button = (text, action) => element("button", { type: "button", onclick: action }, text);

  // ------------------------------------------------------------------------------------------------------------ elements
  const chooser = element("span", { className: "mha-chooser", role: "radiogroup" });
  chooser.setAttribute("aria-label", "the word that looks");
  const query = element("span", { className: "mha-step-vector mha-step-query" });
  const back = button("◀ back", () => go(model.get("stage") - 1));
  const step = button("step ▶", () => go(model.get("stage") + 1));
  const play = button("play", () => (playing ? pause() : start()));
  const heat = element("input", { type: "range", min: COLDEST, max: HOTTEST, step: 0.01 });
  const heatText = element("output");
  const standard = button("reset", () => change({ temperature: 1 }));
  const causal = element("input", { type: "checkbox" });
  const explanation = element("p", { className: "mha-step-explanation", "aria-live": "polite" });
  const table = element("table");
  const line = (...parts) => element("div", { className: "mha-step-line" }, ...parts);
  const root = element(
    "div",
    { className: "mha mha-step", "data-lm-suppress-shortcuts": "true" },
    line(
      element("span", { className: "mha-step-pair" }, "Query of", chooser),
      element("span", { className: "mha-step-pair" }, "q =", query),
    ),
    line(
      element("span", { className: "mha-step-pair" }, back, step, play),
      element("label", {}, "temperature", heat, heatText, standard),
      element("label", {}, causal, "causal mask"),
    ),
    explanation,
    element("div", { className: "mha-step-frame" }, table),
  );
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const change = changer(model);

  function present() {
    const inputs = {
      query: decoded(model.get("_query"), Float32Array),
      key: decoded(model.get("_key"), Float32Array),
      value: decoded(model.get("_value"), Float32Array),
      mask: decoded(model.get("_mask"), Uint8Array),
      n: model.get("tokens").length,
      width: model.get("d_head"),
      valueWidth: model.get("d_value"),
      row: model.get("position"),
      temperature: model.get("temperature"),
      causal: model.get("causal"),
    };
    const rowOf = (data, i, size) => Array.from(data.subarray(i * size, (i + 1) * size));
    return {
      ...inputs,
      words: shownWords(model.get("tokens")),
      q: rowOf(inputs.query, inputs.row, inputs.width),
      k: (j) => rowOf(inputs.key, j, inputs.width),
      v: (j) => rowOf(inputs.value, j, inputs.valueWidth),
      ...stages(inputs),
    };
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);

  function draw() {
    const now = present();
    const stage = model.get("stage");
    showControls(now, stage);
    const reach = (numbers) => roundUp(Math.max(...numbers.map(Math.abs)) || 1);
    const scales = { scores: reach(now.scores), scaled: reach(now.scaled), terms: reach(now.terms.flat()) };
    table.replaceChildren(head(now, stage, scales), body(now, stage, scales), foot(now, stage));
    table.classList.toggle("mha-step-dense", now.n > 8);
    showExplanation(now, stage);
    countDrawing(root);
  }

  function showControls(now, stage) {
    if (chooser.childElementCount !== now.n) {
      chooser.replaceChildren(
        ...now.words.map((word, i) =>
          Object.assign(
            button(word, () => change({ position: i })),
            { title: word },
          ),
        ),
      );
      [...chooser.children].forEach((choice) => choice.setAttribute("role", "radio"));
    }
    [...chooser.children].forEach((choice, i) => {
      choice.setAttribute("aria-checked", String(i === now.row));
      choice.tabIndex = i === now.row ? 0 : -1;
    });
    query.replaceChildren(...vector(now.q));
    back.disabled = stage === 1;
    step.disabled = stage === 5;
    play.textContent = playing ? "pause" : "play";
    if (document.activeElement !== heat || Math.abs(10 ** heat.value - now.temperature) > 0.02 * now.temperature) {
      heat.value = Math.log10(now.temperature);
    }
    heatText.textContent = `T = ${now.temperature.toPrecision(3)}`;
    heat.setAttribute("aria-valuetext", heatText.textContent);
    standard.disabled = now.temperature === 1;
    causal.checked = now.causal;
  }

  const veil = (stage, number) => (stage >= number ? "" : "mha-step-hidden");

  function head(now, stage, scales) {
    const divisor = now.temperature === 1 ? `√${now.width}` : `(√${now.width} · T)`;
    const columns = [
      ["", "", 0],
      ["key k", "", 0],
      ["q·k", axis(-scales.scores, scales.scores), 1],
      [`/ ${divisor}`, axis(-scales.scaled, scales.scaled), 2],
      ["mask", "may it look?", 3],
      ["softmax", axis(0, 1), 4],
      ["value v", "", 0],
      ["weight · v", "", 5],
    ];
    const cells = columns.map(([title, below, number]) => {
      const badge = number ? [element("i", {}, String(number))] : [];
      const cell = element("th", { scope: "col" }, element("div", {}, ...badge, title), element("small", {}, below));
      if (number > 0) cell.className = number === stage ? "mha-step-current" : veil(stage, number) && "mha-step-later";
      return cell;
    });
    return element("thead", {}, element("tr", {}, ...cells));
  }

  /** The ends of a column's own scale, and 0 where it lies between them. */
  function axis(from, to) {
    const ends = from < 0 ? [short(from), "0", short(to)] : ["0", short(to)];
    return element("span", { className: "mha-step-axis" }, ...ends.map((end) => element("span", {}, end)));
  }

  function body(now, stage, scales) {
    const rows = now.words.map((word, j) => {
      const masked = !now.allowed[j];
      const cells = [
        element("td", { className: "mha-step-vector mha-step-key" }, ...vector(now.k(j))),
        bar(now.scores[j], -scales.scores, scales.scores, short(now.scores[j]), veil(stage, 1)),
        bar(now.scaled[j], -scales.scaled, scales.scaled, short(now.scaled[j]), veil(stage, 2)),
        element(
          "td",
          { className: `mha-step-mask ${masked ? "mha-step-masked" : ""} ${veil(stage, 3)}` },
          element("span", {}, ...(masked ? [element("i"), "−∞"] : ["✓"])),
        ),
        bar(now.weights[j], 0, 1, share(now.weights[j]), `${masked ? "mha-step-masked" : ""} ${veil(stage, 4)}`),
        element("td", { className: "mha-step-vector mha-step-value" }, ...vector(now.v(j))),
        element(
          "td",
          { className: `mha-step-vector mha-step-value mha-step-term ${veil(stage, 5)}` },
          ...vector(now.terms[j], scales.terms),
        ),
      ];
      const row = element("tr", {}, element("th", { scope: "row", title: word }, word), ...cells);
      row.onpointerenter = () => change({ hovered: j });
      row.onpointerleave = () => change({ hovered: -1 });
      return row;
    });
    return element("tbody", {}, ...rows);
  }

  function foot(now, stage) {
    const seen = now.allowed.filter(Boolean).length;
    const most = seen > 0 ? Math.log(seen) : 0;
    const note =
      seen > 0 ? `sum 1 · entropy ${now.entropy.toFixed(2)} of ${most.toFixed(2)} nats` : "nothing to look at: sum 0";
    const cells = [
      element("th", { scope: "row", colSpan: 2 }, "output = the sum"),
      element("td", { colSpan: 4, className: `mha-step-sum ${veil(stage, 4)}` }, note),
      element("td", {}),
      element("td", { className: `mha-step-vector mha-step-output ${veil(stage, 5)}` }, ...vector(now.output)),
    ];
    return element("tfoot", {}, element("tr", {}, ...cells));
  }

  /** A vector as its numbers, or beyond eight of them as a strip of tints. */
  function vector(numbers, reach = Math.max(...numbers.map(Math.abs)) || 1) {
    if (numbers.length <= 8) return [element("span", {}, ...numbers.map((number) => element("b", {}, short(number))))];
    const tint = (number) =>
      `color-mix(in srgb, var(--mha-${number < 0 ? "below" : "above"}) ${(100 * Math.abs(number)) / reach}%, var(--mha-page))`;
    const stops = numbers.map(
      (number, i) => `${tint(number)} ${(100 * i) / numbers.length}% ${(100 * (i + 1)) / numbers.length}%`,
    );
    const strip = element("span", { className: "mha-step-strip", title: numbers.map(short).join("  ") });
    strip.style.background = `linear-gradient(to right, ${stops})`;
    return [strip];
  }

  function bar(number, from, to, text, classes) {
    const place = (value) => (100 * (value - from)) / (to - from);
    const fill = element("span", { className: "mha-step-fill" });
    const [left, right] = [Math.min(place(0), place(number)), Math.max(place(0), place(number))];
    const colour =
      from < 0 ? `var(--mha-${number < 0 ? "below" : "above"})` : weightColour(number, model.get("_colours"));
    Object.assign(fill.style, { left: `${left}%`, width: `${right - left}%`, background: colour });
    const track = element("span", { className: `mha-step-track ${from < 0 ? "" : "mha-step-share"}` }, fill);
    track.style.setProperty("--mha-zero", `${place(0)}%`);
    return element("td", { className: `mha-step-bar ${classes}` }, element("div", {}, track, element("b", {}, text)));
  }

  function showExplanation(now, stage) {
    const hovered = model.get("hovered");
    const best = now.weights.indexOf(Math.max(...now.weights));
    const j = hovered >= 0 && hovered < now.n ? hovered : best;
    explanation.textContent = explain(stage, { ...now, k: now.k(j), v: now.v(j), j, now });
    [...table.tBodies[0].rows].forEach((row, i) => row.classList.toggle("mha-step-hovered", i === j));
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  let playing = 0;

  function go(stage) {
    if (stage >= 1 && stage <= 5) change({ stage });
  }

  function start() {
    if (model.get("stage") === 5) go(1);
    playing = setInterval(() => {
      go(model.get("stage") + 1);
      if (model.get("stage") === 5) pause();
    }, PAUSE);
    schedule();
  }

  function pause() {
    clearInterval(playing);
    playing = 0;
    schedule();
  }

  chooser.onkeydown = (event) => {
    const position = stepped(event, model.get("position"), chooser.childElementCount);
    if (position === null) return;
    event.preventDefault();
    change({ position });
    chooser.children[position].focus();
  };
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys
  heat.oninput = () => change({ temperature: Number((10 ** heat.value).toPrecision(3)) });
  causal.onchange = () => change({ causal: causal.checked });

  const ends = [watch(model, ["position", "stage", "temperature", "causal", "tokens", "_query", "_key", "_value", "_mask"], schedule)];
  const pointed = () => schedule.pending || showExplanation(present(), model.get("stage"));
  ends.push(watch(model, ["hovered"], pointed));
  schedule();

  return () => {
    schedule.cancel();
    clearInterval(playing);
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { initialize, render };
