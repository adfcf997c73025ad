// IntentExplorer: type a sentence; see what a classifier answers, which words it read that from, and where heads look.
//
// All state lives in the model's traits, and draw() reads them afresh. Only a new sentence needs the kernel.

import { changer, countDrawing, decoded, element, scheduler, shownWords, stepped, watch } from "../shared/common.js";
import { colourTable, weightsOf } from "../head_explorer/maths.js";
import { quoted } from "../shared/words.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/**
 * Where the heads of one layer look from a word, H rows of n; with word -1 from the answer: every row of a head's map, counted
 * by its word's share. weights (H, n, n), shares (n).
 */
export function looks({ weights, shares, n, H, word }) {
  return Array.from({ length: H }, (_, h) => {
    const row = (i) => weights.subarray((h * n + i) * n, (h * n + i + 1) * n);
    if (word >= 0) return Array.from(row(word));
    const mean = Array(n).fill(0);
    for (let i = 0; i < n; i++) row(i).forEach((weight, j) => (mean[j] += shares[i] * weight));
    return mean;
  });
}

/** The places of the `count` largest numbers, the largest first. */
export const largest = (numbers, count) => [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a]).slice(0, count);

/** Black or white, whichever is more legible on a colour (r, g, b): one of them always has a contrast above 4.5. */
export function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// ----------------------------------------------------------------------------------------------------------------- page

const SHOWN = 3; // answers
const NAMED = 3; // words in the readout
const ANSWER_WITHIN = 5000; // ms
const NO_ANSWER = "The kernel has not answered yet: it is busy or not running. Your sentence stays; its answer will come.";
const NO_MODEL = "Reading a new sentence needs Python and the trained model: open this notebook in JupyterLab and run its cells.";
const READING = "Arrow keys read where the heads look, Escape clears.";
const CHINESE = /[\u3400-\u9fff]/;

function render({ model, el }) {
  const get = (trait) => model.get(trait);
  const change = changer(model);
  const named = (name, tag, ...children) => element(tag, { className: `mha-intent-${name}` }, ...children);
  const colours = colourTable(get("_colours"));

  // ------------------------------------------------------------------------------------------------------------ elements
  const menu = element("select");
  const input = element("input", { type: "text", spellcheck: false, placeholder: "or type your own", ariaLabel: "your own sentence" });
  const form = named("form", "form", input, element("button", { type: "submit" }, "Read it"));
  const message = element("p", { className: "mha-intent-message", role: "status" });
  const answers = element("tbody");
  const others = named("others", "p");
  const layer = element("input", { type: "range", min: 0, max: get("num_layers") - 1, step: 1 });
  const layerName = element("output");
  const stretch = element("input", { type: "checkbox" });
  const bar = named("bar", "span");
  bar.style.background = "linear-gradient(to right," + get("_colours").map(([at, hex]) => `${hex} ${at / 2.55}%`) + ")";
  const barEnd = element("span");
  const readout = element("p", { className: "mha-intent-readout", "aria-live": "polite" });
  const chooser = named("row", "div");
  chooser.setAttribute("role", "radiogroup");
  chooser.setAttribute("aria-label", "the word that looks");
  const heads = Array.from({ length: get("num_heads") }, () => element("div", { className: "mha-intent-words", role: "img" }));
  const line = (...parts) => named("line", "div", ...parts);
  const row = (name, words) => named("row", "div", named("name", "span", name), words);
  const stage = named("heads", "div", ...heads.map((words, h) => row(`head ${h}`, words)));
  Object.assign(stage, { tabIndex: 0, role: "group", ariaLabel: `heads. ${READING}` });
  const table = named("table", "details", element("summary", {}, "As a table"));
  const root = element(
    "div",
    { className: "mha mha-intent", "data-lm-suppress-shortcuts": "true" },
    line(element("label", {}, "Sentence", menu), form),
    message,
    named("answers", "table", element("caption", {}, "The model answers"), answers),
    others,
    line(
      ...(layer.max > 0 ? [element("label", {}, "Layer", layer, layerName)] : []),
      named("scale", "span", "weight 0", bar, barEnd, element("label", {}, stretch, "stretch")),
    ),
    readout,
    chooser,
    stage,
    table,
  );
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const readings = () => [...get("_readings"), ...get("_typed")];
  let now = present();

  function present() {
    const reading = readings().find((each) => each.sentence === get("sentence")) ?? readings()[0];
    const [n, H] = [reading.tokens.length, get("num_heads")];
    const bytes = decoded(reading.weights, Uint8Array);
    const start = get("layer") * H * n * n;
    const weights = weightsOf(bytes.subarray(start, start + H * n * n));
    const shares = decoded(reading.shares, Float32Array);
    const word = Math.min(get("word"), n - 1);
    const rows = looks({ weights, shares, n, H, word });
    const top = get("stretch") ? Math.max(...shares, ...rows.flat()) || 1 : 1;
    const words = shownWords(reading.tokens);
    return { reading, words, n, word, from: word < 0 ? "the answer" : `“${quoted(words[word])}”`, shares, rows, top };
  }

  /** [head, word] that is read, if it is on show. */
  function pointed() {
    const [head, word] = get("hovered");
    return head < heads.length && word < now.n ? [head, word] : null;
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  function draw() {
    now = present();
    const { reading, shares, rows, top } = now;
    const sentences = readings().map((each) => each.sentence);
    if (String(sentences) !== menu.dataset.of) {
      menu.replaceChildren(...sentences.map((sentence) => element("option", { value: sentence, lang: tongue(sentence) }, sentence)));
      menu.dataset.of = String(sentences);
    }
    menu.value = reading.sentence;
    if (document.activeElement !== input) input.value = get("typed");
    if (!waiting) say(get("message") || reading.note);

    const best = largest(reading.probabilities, SHOWN);
    answers.replaceChildren(...best.map((answer) => answerRow(get("names")[answer], reading.probabilities[answer])));
    const rest = 1 - best.reduce((sum, answer) => sum + reading.probabilities[answer], 0);
    const left = reading.probabilities.length - best.length;
    const share = percent(Math.max(0, rest));
    others.textContent = left ? `${left} other ${left > 1 ? "answers share" : "answer has"} ${share}` : "";

    layer.value = get("layer");
    layerName.textContent = get("layer");
    stretch.checked = get("stretch");
    barEnd.textContent = get("stretch") ? top.toFixed(2) : "1";
    drawWords(shares, rows, top);
    showPointed();
    showTable();
    countDrawing(root);
  }

  function answerRow(name, probability) {
    const fill = element("i");
    fill.style.width = `${100 * probability}%`;
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, ...spoken(name)),
      element("td", {}, named("share", "span", fill)),
      element("td", {}, percent(probability)),
    );
  }

  function drawWords(shares, rows, top) {
    const { words, word } = now;
    const focused = chooser.contains(document.activeElement);
    const choices = ["the answer", ...words].map((token, place) => {
      const chosen = place - 1 === word;
      const button = element("button", { type: "button", tabIndex: chosen ? 0 : -1, lang: tongue(token), title: token }, token);
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", chosen);
      if (place) tint(button, shares[place - 1] / top);
      button.onclick = () => change({ word: chosen ? -1 : place - 1 });
      return button;
    });
    choices[0].className = "mha-intent-name";
    chooser.replaceChildren(choices[0], named("words", "div", ...choices.slice(1)));
    if (focused) choices[word + 1].focus({ preventScroll: true });
    heads.forEach((head, h) => {
      head.replaceChildren(
        ...words.map((token, j) => {
          const cell = element("span", { lang: tongue(token), title: token }, token);
          cell.onpointerenter = () => point(h, j);
          return tint(cell, rows[h][j] / top);
        }),
      );
      head.ariaLabel = `head ${h}: ${told(rows[h])}`;
    });
  }

  /** What is pointed at, marked and in words. */
  function showPointed() {
    const { from } = now;
    const cell = pointed();
    root.querySelector(".mha-intent-pointed")?.classList.remove("mha-intent-pointed");
    if (cell) {
      const [h, j] = cell;
      heads[h].children[j].classList.add("mha-intent-pointed");
      readout.textContent = `head ${h}, from ${from} to “${quoted(now.words[j])}”: ${now.rows[h][j].toFixed(2)}`;
    } else if (stage.matches(":focus-visible")) {
      readout.textContent = READING;
    } else if (now.word < 0) {
      readout.textContent = `The answer is read from ${told(now.shares)} … Choose a word to see where the heads look from there.`;
    } else {
      const share = now.shares[now.word].toFixed(2);
      readout.textContent = `Where the heads look from ${from}, from which ${share} of the answer is read. Escape goes back to the answer.`;
    }
  }

  /** The weights on show as numbers: a row for each word that is looked at. */
  function showTable() {
    if (!table.open) return;
    const columns = [now.shares, ...now.rows];
    const heading = (text, scope) => element("th", { scope, lang: tongue(text), title: text }, text);
    const titles = ["the answer", ...heads.map((_, h) => `head ${h}`)].map((text) => heading(text, "col"));
    const rows = now.words.map((word, j) =>
      element("tr", {}, heading(word, "row"), ...columns.map((weights) => element("td", {}, weights[j].toFixed(2)))),
    );
    const caption = `Shares of the answer, and where the heads of layer ${get("layer")} look from ${now.from}`;
    const numbers = element("table", {}, element("caption", {}, caption), element("tr", {}, element("td"), ...titles), ...rows);
    table.replaceChildren(table.firstChild, element("div", { tabIndex: 0, role: "region", ariaLabel: "weights" }, numbers));
  }

  /** The words with the largest numbers: "不 0.41, 要 0.20, 险 0.11". */
  function told(row) {
    return largest(row, NAMED)
      .map((j) => `${quoted(now.words[j])} ${row[j].toFixed(2)}`)
      .join(", ");
  }

  function tint(node, level) {
    const at = 4 * Math.round(255 * Math.min(1, Math.max(0, level)));
    const rgb = [...colours.subarray(at, at + 3)];
    node.style.background = `rgb(${rgb})`;
    node.style.color = inkOn(rgb);
    return node;
  }

  // ------------------------------------------------------------------------------------------------------------- actions
  let waiting = 0;

  function say(text) {
    if (message.textContent !== text) message.textContent = text;
  }

  function stopWaiting() {
    clearTimeout(waiting);
    waiting = 0;
  }

  function ask(event) {
    event.preventDefault();
    const sentence = input.value.trim();
    change({ typed: input.value });
    if (readings().some((each) => each.sentence === sentence)) return choose(sentence);
    if (!get("can_read")) return say(NO_MODEL);
    stopWaiting();
    waiting = setTimeout(() => say(NO_ANSWER), ANSWER_WITHIN);
    say("Reading …");
    try {
      change.send({ kind: "read", sentence });
    } catch {
      say(NO_ANSWER);
    }
  }

  function answered({ kind }) {
    if (kind !== "answered") return;
    stopWaiting();
    schedule();
  }

  /** Another sentence has other words: none of them is chosen or pointed at. */
  function choose(sentence) {
    change({ sentence, word: -1, hovered: [], message: "" });
  }

  function point(...hovered) {
    if (String(hovered) !== String(get("hovered"))) change({ hovered });
  }

  function press(event) {
    const cell = pointed();
    const { n } = now;
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -n], End: [0, n] };
    const step = steps[event.key];
    if (!step && event.key !== "Escape") return;
    event.preventDefault();
    if (!step) return point();
    const ends = [heads.length - 1, n - 1];
    point(...ends.map((end, axis) => (cell ? Math.max(0, Math.min(end, cell[axis] + step[axis])) : 0)));
    root.querySelector(".mha-intent-pointed")?.scrollIntoView({ block: "nearest" });
  }

  const schedule = scheduler(draw);
  form.onsubmit = ask;
  input.oninput = () => model.set("typed", input.value);
  menu.onchange = () => choose(menu.value);
  layer.oninput = () => change({ layer: Number(layer.value) });
  stretch.onchange = () => change({ stretch: stretch.checked });
  chooser.onkeydown = (event) => {
    const next = event.key === "Escape" ? 0 : stepped(event, now.word + 1, now.n + 1);
    if (next === null) return;
    event.preventDefault();
    change({ word: next - 1 });
  };
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys
  heads.forEach((words) => (words.onpointerleave = () => point()));
  stage.onkeydown = press;
  stage.onfocus = stage.onblur = showPointed;
  table.ontoggle = schedule;
  model.on("msg:custom", answered);
  const ends = [
    watch(model, ["sentence", "layer", "word", "stretch", "typed", "message", "_typed"], schedule),
    watch(model, ["hovered"], () => schedule.pending || showPointed()),
  ];
  draw();
  return () => {
    ends.forEach((end) => end());
    model.off("msg:custom", answered);
    stopWaiting();
    schedule.cancel();
  };
}

const percent = (share) => `${Math.round(100 * share)}%`;
const tongue = (text) => (CHINESE.test(text) ? "zh" : "en");

/** Each part of a name "中文 · English" marked with its language. */
const spoken = (name) =>
  name.split(" · ").flatMap((part, i) => [...(i ? [" · "] : []), element("span", { lang: tongue(part) }, part)]);

export default { render };
