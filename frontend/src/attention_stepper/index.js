// AttentionStepper: how one query becomes one output: q·k → scale → mask → softmax → Σ w·v, and W^O over all heads.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { changer, countDrawing, decoded, element, scheduler, shownWords, stepped, watch } from "../shared/common.js";
import { quoted } from "../shared/words.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/** Row i of numbers that lie row by row. */
const rowOf = (numbers, i, size) => [...numbers.subarray(i * size, (i + 1) * size)];

/**
 * The five stages of one head for one row of query: { scores, scaled, allowed, weights, terms, output, entropy }.
 * query and key hold n rows of `width` numbers, value n rows of `valueWidth`; scaled = scores / (√width · temperature);
 * allowed[j] says whether the row may see token j; terms[j] = weights[j] · value[j]. entropy is in nats.
 */
export function stages({ query, key, value, n, width, valueWidth, row, temperature = 1, causal = false, mask = null }) {
  const q = rowOf(query, row, width);
  const scores = Array.from({ length: n }, (_, j) => q.reduce((sum, x, i) => sum + x * key[j * width + i], 0));
  const scaled = scores.map((score) => score / (Math.sqrt(width) * temperature));
  const allowed = scores.map((_, j) => (!causal || j <= row) && (!mask || mask[row * n + j] === 1));
  const weights = softmax(scaled, allowed);
  const terms = weights.map((weight, j) => rowOf(value, j, valueWidth).map((v) => weight * v));
  const output = terms.reduce((sum, term) => sum.map((s, i) => s + term[i]), Array(valueWidth).fill(0));
  const entropy = -weights.reduce((sum, w) => sum + (w > 0 ? w * Math.log(w) : 0), 0);
  return { scores, scaled, allowed, weights, terms, output, entropy };
}

/** The part of one head in numbers that lie head by head. */
const partOf = (numbers, h, H) => numbers.subarray((h * numbers.length) / H, ((h + 1) * numbers.length) / H);

/** stages() of head h of H: query, key and value hold H·n rows, head by head. */
export function stagesOfHead({ query, key, value, ...rest }, h, H) {
  return stages({ query: partOf(query, h, H), key: partOf(key, h, H), value: partOf(value, h, H), ...rest });
}

/** outputs: a head's V numbers each; wO: H·V rows of D. shares[h] = outputs[h] · W^O's rows of head h; total adds them. */
export function sharesOf(outputs, wO, D) {
  const shares = outputs.map((output, h) => {
    const rows = partOf(wO, h, outputs.length);
    return Array.from({ length: D }, (_, d) => output.reduce((sum, x, i) => sum + x * rows[i * D + d], 0));
  });
  return { shares, total: shares.reduce((sum, share) => sum.map((s, d) => s + share[d])) };
}

/** The feature to which the heads add most, whatever its sign. */
export function busiest(shares) {
  const traffic = shares[0].map((_, d) => shares.reduce((sum, share) => sum + Math.abs(share[d]), 0));
  return traffic.indexOf(Math.max(...traffic));
}

/**
 * The temperature in words. Scores of random queries and keys spread by √d (lesson 01); divided by √d_head · T they spread
 * by 1/T: as far as unscaled scores do where d_head is 1/T².
 */
export function temperatureWords(T) {
  const d = 1 / T ** 2;
  const note =
    T < 0.99
      ? `spread of an unscaled d_head ${Number(d.toFixed(d < 10 ? 1 : 0))}`
      : T > 1.01
        ? "flatter"
        : "as published";
  return `T = ${Number(T.toPrecision(3))} · ${note}`;
}

/** Softmax over the allowed scores, 0 elsewhere; all 0 where nothing is allowed. */
export function softmax(scores, allowed) {
  const top = Math.max(...scores.filter((_, j) => allowed[j]));
  const powers = scores.map((score, j) => (allowed[j] ? Math.exp(score - top) : 0));
  const sum = powers.reduce((total, power) => total + power, 0);
  return sum > 0 ? powers.map((power) => power / sum) : powers;
}

/** A number in few characters and `more` decimals, with a true minus sign; what is rounded to 0 has no sign. */
function precise(value, more) {
  const size = Math.abs(value);
  if (size < 1000 && Math.abs(value - Math.round(value)) < 5e-4 / 10 ** more)
    return String(Math.round(value) || 0).replace("-", "−");
  const decimals = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const text = size >= 1000 ? value.toExponential(1 + more) : value.toFixed(decimals + more);
  return text.replace("-", Number(text) ? "−" : "");
}

/** A number as the table shows it. */
export const short = (value) => precise(value, 0);

const MOST_MORE = 5; // decimals that a written sum may have beyond the table's
const allPrecise = (numbers) => (more) => numbers.map((number) => precise(number, more));

/**
 * A sum as it is written out, { shown, goal, sign, more }: shown = figures(more), texts with so many more decimals that
 * compute(their numbers) gives the `results` as `write` shows them (goal), so that who checks the figures finds the same;
 * sign is "=" where they give it exactly.
 */
export function written(figures, compute, results, write = short) {
  const read = (text) => Number(text.replace("−", "-"));
  const goal = results.map((result) => write(result));
  for (let more = 0; ; more += 1) {
    const shown = figures(more);
    const found = compute(shown.map(read));
    if (more < MOST_MORE && found.some((number, i) => write(number) !== goal[i])) continue;
    const exact = found.every((number, i) => Math.abs(number - read(goal[i])) < 1e-9);
    return { shown, goal, sign: exact ? "=" : "≈", more };
  }
}

/** The end of a scale that holds `reach`: 1, 2, 3, 4, 5, 6 or 8 times a power of ten. */
export function roundUp(reach) {
  const power = 10 ** Math.floor(Math.log10(reach));
  return power * [1, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= reach * (1 - 1e-9));
}

/** A weight as the lessons print it. */
const share = (weight) => weight.toFixed(3);

const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

/** a · b = result in words. */
function dotProduct(a, b, result) {
  if (a.length > 8) return `a sum of ${a.length} products = ${short(result)}`;
  const dot = (numbers) => [a.reduce((total, _, i) => total + numbers[i] * numbers[a.length + i], 0)];
  const { shown, goal, sign } = written(allPrecise([...a, ...b]), dot, [result]);
  const terms = a.map((_, i) => `${bracket(shown[i])}·${bracket(shown[a.length + i])}`);
  return `${terms.join(" + ")} ${sign} ${goal}`;
}

/** The arithmetic of one stage for one key, in words. */
export function explain(stage, { q, k, v, j, width, temperature, words, row, now }) {
  const pair = `${words[row]} → ${words[j]}: `;
  if (stage > 2 && !now.allowed[j]) return `${pair}masked: score −∞, and e^−∞ = 0, so its weight is 0`;
  if (stage === 1) return `${pair}q·k = ${dotProduct(q, k, now.scores[j])}`;
  if (stage === 2) {
    const heat = temperature === 1 ? [] : [temperature];
    const divided = ([score, T = 1]) => [score / (Math.sqrt(width) * T)];
    const { shown, goal, sign } = written(allPrecise([now.scores[j], ...heat]), divided, [now.scaled[j]]);
    const divisor = heat.length ? `(√${width} · ${shown[1]})` : `√${width}`;
    return `${pair}${shown[0]} / ${divisor} ${sign} ${goal}`;
  }
  if (stage === 3) return `${pair}may look: the score stays ${short(now.scaled[j])}`;
  if (stage === 4) {
    const seen = now.scaled.filter((_, i) => now.allowed[i]);
    const sum = seen.reduce((total, score) => total + Math.exp(score), 0);
    if (!(sum > 1e-3 && sum < 1000))
      return `${pair}e^${short(now.scaled[j])} is ${share(now.weights[j])} of the sum of all`;
    const power = Math.exp(now.scaled[j]);
    const ratio = written(allPrecise([power, sum]), ([a, b]) => [a / b], [now.weights[j]], share);
    const few = seen.length > 4 ? [] : seen;
    const powers = ([score, ...all]) => [
      Math.exp(score),
      few.length ? all.reduce((total, other) => total + Math.exp(other), 0) : sum,
    ];
    const asInRatio = (number) => precise(number, ratio.more);
    const { shown, sign } = written(allPrecise([now.scaled[j], ...few]), powers, [power, sum], asInRatio);
    const terms = shown.slice(1).map((score) => `e^${score}`);
    const whole = few.length ? `(${terms.join(" + ")})` : `sum of ${seen.length} powers`;
    return `${pair}e^${shown[0]} / ${whole} ${sign} ${ratio.shown.join(" / ")} ${ratio.sign} ${ratio.goal}`;
  }
  if (v.length > 8) return `${pair}${share(now.weights[j])} · each of its ${v.length} numbers; these add up to the output`;
  const scaled = ([weight, ...numbers]) => numbers.map((number) => weight * number);
  const figures = (more) => [now.weights[j].toFixed(3 + more), ...allPrecise(v)(more)]; // a weight has three at least
  const { shown, goal, sign } = written(figures, scaled, now.terms[j]);
  const [weight, ...numbers] = shown;
  return `${pair}${weight} · [${numbers.join(", ")}] ${sign} [${goal.join(", ")}]; these add up to the output`;
}

/** One feature of stage 6 in words: what the head adds to it (output · its column of the head's rows), and all heads' sum. */
export function explainSum({ feature, name, word, head, output, column, shares, total }) {
  const place = (/^\d+$/.test(name) ? "feature " : "") + `${name} at ${word}: `;
  const own = `head ${head} adds ${dotProduct(output, column, shares[head][feature])}`;
  if (shares.length === 1) return `${place}${own}, and that is the output`;
  if (shares.length > 6) return `${place}${own}; all ${shares.length} heads: ${short(total[feature])}`;
  const added = (numbers) => [numbers.reduce((sum, number) => sum + number, 0)];
  const terms = shares.map((share) => share[feature]);
  const { shown, goal, sign } = written(allPrecise(terms), added, [total[feature]]);
  const [first, ...others] = shown;
  return `${place}${own}; all heads: ${[first, ...others.map(bracket)].join(" + ")} ${sign} ${goal}`;
}

// ----------------------------------------------------------------------------------------------------------------- page

const PAUSE = 1300; // ms between the stages when playing
const COLDEST = -5; // powers of two at the ends of the temperature slider: spread as unscaled at d_head 1,024
const HOTTEST = 5;
const STAGES = ["1 q·k", "2 scale", "3 mask", "4 softmax", "5 weight · v", "6 W^O"];
const MOST_NUMBERS = 12; // features whose numbers are written into the cells; more are tints, and numbers on pointing
const LONGEST = 8; // a longer vector is shown in tints, wherever it stands
const TIGHTNESS = { key: 1, value: 2, terms: 3 }; // up to which a column's vectors are numbers, where these have room
const TIGHTEST = 4;
const MOST_ROWS = 8; // rows of W^O that are written out under their head
const STRONGEST = 50; // percent of colour in the cell with the largest number: words on it stay legible

const largest = (numbers) => Math.max(0, ...numbers.map(Math.abs)) || 1;
const [ABOVE, BELOW] = ["213 128 31", "125 107 179"]; // --mha-above and --mha-below: a strip of variables draws slowly
const tint = (number, reach, strongest = 100) =>
  `rgb(${number < 0 ? BELOW : ABOVE} / ${strongest * Math.min(1, Math.abs(number) / reach)}%)`;

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

function render({ model, el }) {
  const change = changer(model);
  const button = (text, action) => element("button", { type: "button", title: text, onclick: action }, text);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // ------------------------------------------------------------------------------------------------------------ elements
  const words = shownWords(model.get("tokens"));
  const features = model.get("features");
  const [n, H, D, width, valueWidth] = [
    words.length,
    model.get("num_heads"),
    features.length,
    model.get("d_head"),
    model.get("d_value"),
  ];
  const last = D ? 6 : 5;

  /** A trait's values as a radio group; its show() marks the present one. */
  function radios(label, texts, trait, first = 0) {
    const group = element("span", { className: "mha-chooser", role: "radiogroup", "aria-label": label });
    group.append(...texts.map((text, i) => button(text, () => change({ [trait]: first + i }))));
    const choices = [...group.children];
    choices.forEach((choice) => choice.setAttribute("role", "radio"));
    group.onkeydown = (event) => {
      const next = move(event, trait, model.get(trait), texts.length, first);
      choices[next - first]?.focus();
    };
    const show = () =>
      choices.forEach((choice, i) => {
        const chosen = first + i === model.get(trait);
        choice.setAttribute("aria-checked", String(chosen));
        choice.tabIndex = chosen ? 0 : -1;
      });
    return { group, show };
  }

  /** With an arrow key, the trait's value beside `at`; gives it. */
  function move(event, trait, at, count, first = 0) {
    const next = stepped(event, at - first, count);
    if (next === null) return;
    event.preventDefault();
    change({ [trait]: first + next });
    return first + next;
  }

  const tokenChooser = radios("the word that looks", words, "position");
  const headChooser = radios(
    "head",
    Array.from({ length: H }, (_, h) => String(h)),
    "head",
  );
  const stageChooser = radios("stage", STAGES.slice(0, last), "stage", 1);
  const query = element("span", { className: "mha-step-vector mha-step-query" });
  const step = button("step ▶", () => go(model.get("stage") + 1));
  const play = button("play", () => (playing ? pause() : start()));
  const heat = element("input", { type: "range", min: COLDEST, max: HOTTEST, step: 0.5 });
  const heatText = element("output");
  const standard = button("reset", () => change({ temperature: 1 }));
  const causal = element("input", { type: "checkbox" });
  const explanation = element("p", { className: "mha-step-explanation", "aria-live": "polite" });
  const table = element("table");
  const frame = element("div", { className: "mha-step-frame", tabIndex: 0, role: "group" }, table);
  const more = element("p", { className: "mha-step-more", hidden: true }, "↔ The table is wider than the page: scroll it sideways.");
  const line = (...parts) => element("div", { className: "mha-step-line" }, ...parts);
  const pair = (...parts) => element("span", { className: "mha-step-pair" }, ...parts);
  const asked = pair("q =", query);
  const root = element(
    "div",
    { className: "mha mha-step", "data-lm-suppress-shortcuts": "true" },
    line(pair("Query of", tokenChooser.group), ...(H > 1 ? [] : [asked])),
    line(...(H > 1 ? [pair("Head", headChooser.group), asked] : []), pair("Stage", stageChooser.group, step, play)),
    line(
      element("label", {}, causal, "causal mask"),
      pair(element("label", {}, "temperature", heat), standard, heatText),
    ),
    explanation,
    more,
    frame,
  );
  root.style.setProperty("--mha-features", D);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  function present() {
    const [row, head, stage] = ["position", "head", "stage"].map((name) => model.get(name));
    const data = (name) => decoded(model.get(name), Float32Array);
    const inputs = {
      query: data("_query"),
      key: data("_key"),
      value: data("_value"),
      mask: decoded(model.get("_mask"), Uint8Array),
      ...{ n, width, valueWidth, row },
      temperature: model.get("temperature"),
      causal: model.get("causal"),
    };
    const own = (name, i, size) => rowOf(partOf(inputs[name], head, H), i, size);
    const shown = {
      ...inputs,
      ...stagesOfHead(inputs, head, H),
      ...{ head, stage },
      q: own("query", row, width),
      k: (j) => own("key", j, width),
      v: (j) => own("value", j, valueWidth),
    };
    if (stage < 6) return shown;
    const wO = data("_w_o");
    const heads = Array.from({ length: H }, (_, h) => stagesOfHead(inputs, h, H));
    const outputs = heads.map(({ output }) => output);
    return { ...shown, heads, ...sharesOf(outputs, wO, D), wORow: (i) => rowOf(wO, i, D) };
  }

  /** The key, and in stage 6 the feature, whose arithmetic is written out: the one pointed at, or the largest. */
  const favourite = ({ weights }) => weights.indexOf(Math.max(...weights));
  const keyOf = () => (model.get("hovered") < 0 ? favourite(now) : model.get("hovered"));
  const featureOf = () => (model.get("feature") < 0 ? busiest(now.shares) : model.get("feature"));

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);

  let now; // what is drawn: pointing at it changes none of its numbers
  let [drawnWidth, drawnStage] = [0, 0];
  let tightness = 0; // 0: roomy, 1: tight, 2 to TIGHTEST: with tints in place of numbers in one column after the other

  function draw() {
    const before = drawnStage;
    now = present();
    showControls();
    if (frame.clientWidth !== drawnWidth || (now.stage === 6) !== (before === 6)) tightness = 0;
    [drawnWidth, drawnStage] = [frame.clientWidth, now.stage];
    showTable();
    while (tooWide() && tightness < TIGHTEST) {
      tightness += 1; // and stays so at this width: the table would jump while a slider moves
      showTable();
    }
    more.hidden = !tooWide();
    if (now.stage !== before) frame.scrollLeft = endOf(table.querySelector(".mha-step-current")) - frame.clientWidth;
    showPointed();
    countDrawing(root);
  }

  const tooWide = () => frame.scrollWidth > frame.clientWidth;
  const endOf = (cell) => (cell ? cell.offsetLeft + cell.offsetWidth : 0);

  function showTable() {
    const adding = now.stage === 6;
    table.replaceChildren(...(adding ? sumTable() : stageTable()));
    table.setAttribute("aria-label", adding ? "what each head adds to the output" : "each key's numbers, stage by stage");
    table.className = adding ? "mha-step-adding" : n > 8 ? "mha-step-dense" : "";
    table.classList.toggle("mha-step-tight", tightness > 0);
  }

  const most = (column) => (tightness <= TIGHTNESS[column] ? LONGEST : 0);

  function showControls() {
    [tokenChooser, headChooser, stageChooser].forEach((chooser) => chooser.show());
    query.replaceChildren(...vector(now.q, largest(now.q), LONGEST));
    step.setAttribute("aria-disabled", String(now.stage === last)); // and not disabled: that would lose the focus
    play.textContent = playing ? "pause" : calm.matches ? "all stages" : "play";
    heat.value = Math.log2(now.temperature);
    heatText.textContent = temperatureWords(now.temperature);
    heat.setAttribute("aria-valuetext", heatText.textContent);
    standard.setAttribute("aria-disabled", String(now.temperature === 1));
    causal.checked = now.causal;
    frame.setAttribute(
      "aria-label",
      now.stage === 6
        ? "numbers; up and down: head, left and right: feature"
        : "numbers; up and down: key, left and right: stage",
    );
  }

  function stageTable() {
    const reach = (rows) => roundUp(largest(rows));
    const all = (rowOf) => words.flatMap((_, j) => rowOf(j));
    const masked = now.scaled.filter((_, j) => now.allowed[j]);
    const scales = {
      scores: reach(now.scores),
      scaled: reach(now.scaled),
      masked: reach(masked),
      terms: largest(now.terms.flat()),
      keys: largest(all(now.k)),
      values: largest(all(now.v)),
    };
    return [head(scales), body(scales), foot()];
  }

  const veil = (number) => (now.stage >= number ? "" : "mha-step-hidden");

  function head(scales) {
    const divisor = now.temperature === 1 ? `√${width}` : `(√${width} · T)`;
    const columns = [
      ["token", "", 0],
      ["key k", "", 0],
      ["q·k", axis(-scales.scores, scales.scores), 1],
      [`/ ${divisor}`, axis(-scales.scaled, scales.scaled), 2],
      ["mask", axis(-scales.masked, scales.masked), 3],
      ["softmax", axis(0, 1), 4],
      ["value v", "", 0],
      ["weight · v", "", 5],
    ];
    const cells = columns.map(([title, below, number]) => {
      const badge = number ? [element("i", {}, String(number))] : [];
      const cell = element("th", { scope: "col" }, element("div", {}, ...badge, title), element("small", {}, below));
      if (number > 0) cell.className = number === now.stage ? "mha-step-current" : veil(number) && "mha-step-later";
      return cell;
    });
    return element("thead", {}, element("tr", {}, ...cells));
  }

  /** The ends of a column's own scale, and 0 where it lies between them. */
  function axis(from, to) {
    const ends = from < 0 ? [short(from), "0", short(to)] : ["0", short(to)];
    return element("span", { className: "mha-step-axis" }, ...ends.map((end) => element("span", {}, end)));
  }

  function body(scales) {
    const rows = words.map((word, j) => {
      const hatched = now.allowed[j] ? "" : "mha-step-masked";
      const cell = (role, number, ...content) =>
        element("td", { className: `mha-step-vector mha-step-${role} ${veil(number)}` }, ...content);
      const score = (number, scale, stage) => bar(number, -scale, scale, short(number), veil(stage));
      const cells = [
        cell("key", 0, ...vector(now.k(j), scales.keys, most("key"))),
        score(now.scores[j], scales.scores, 1),
        score(now.scaled[j], scales.scaled, 2),
        hatched ? bar(0, -1, 1, "−∞", `${hatched} ${veil(3)}`) : score(now.scaled[j], scales.masked, 3),
        bar(now.weights[j], 0, 1, share(now.weights[j]), `${hatched} ${veil(4)}`),
        cell("value", 0, ...vector(now.v(j), scales.values, most("value"))),
        cell("value", 5, ...vector(now.terms[j], scales.terms, most("terms"))),
      ];
      const row = element("tr", {}, element("th", { scope: "row", title: word }, word), ...cells);
      row.onpointerenter = () => change({ hovered: j });
      row.onpointerleave = () => change({ hovered: -1 });
      return row;
    });
    return element("tbody", {}, ...rows);
  }

  function foot() {
    const seen = now.allowed.filter(Boolean).length;
    const entropy = `entropy ${now.entropy.toFixed(2)} of ${Math.log(seen || 1).toFixed(2)} nats`;
    const note =
      seen > 0 ? `sum 1 · largest ${share(Math.max(...now.weights))} · ${entropy}` : "nothing to look at: sum 0";
    const cells = [
      element("th", { scope: "row", colSpan: 2 }, D || H > 1 ? `output of head ${now.head}` : "output = the sum"),
      element("td", { colSpan: 4, className: `mha-step-sum ${veil(4)}` }, element("span", {}, note)),
      element("td", {}),
      element("td", { className: `mha-step-vector mha-step-output ${veil(5)}` }, ...vector(now.output, largest(now.output), most("terms"))),
    ];
    return element("tfoot", {}, element("tr", {}, ...cells));
  }

  /** Stage 6: every head's output through its own rows of W^O, and their sum below. */
  function sumTable() {
    const reach = largest(now.shares.flat());
    const titles =
      D > MOST_NUMBERS
        ? [
            element(
              "th",
              { scope: "col" },
              `adds to ${D} features`,
              element("small", {}, ...[-reach, reach].map(swatch)),
            ),
          ]
        : features.map((name, d) => element("th", { scope: "col", title: name, "data-feature": d }, name));
    const names = ["looks most at", "brings"].map((name) => element("th", { scope: "col" }, name));
    const rows = now.heads.flatMap((one, h) => {
      const best = favourite(one);
      const looks = one.weights[best] > 0 ? `${quoted(words[best])} ${one.weights[best].toFixed(2)}` : "nothing";
      const row = element(
        "tr",
        { className: h === now.head ? "mha-step-hovered" : "", onclick: () => change({ head: h }) },
        element("th", { scope: "row" }, `head ${h}`),
        element("td", { className: "mha-step-looks", title: looks }, looks),
        element("td", { className: "mha-step-vector mha-step-output" }, ...vector(one.output, largest(one.output), most("terms"))),
        ...added(now.shares[h], reach),
      );
      return h === now.head ? [row, ...rowsOfWO()] : [row];
    });
    const total = element(
      "tr",
      {},
      element("th", { scope: "row", colSpan: 3 }, "output = the sum"),
      ...added(now.total, reach),
    );
    return [
      element("thead", {}, element("tr", {}, element("td"), ...names, ...titles)),
      element("tbody", {}, ...rows),
      element("tfoot", {}, total),
    ];
  }

  const swatch = (number) => {
    const colour = element("i");
    colour.style.background = tint(number, 1);
    return element("span", {}, colour, short(number));
  };

  /** The present head's rows of W^O with what each is multiplied by, where there is room for them. */
  function rowsOfWO() {
    if (D > MOST_NUMBERS || valueWidth > MOST_ROWS) return [];
    return now.output.map((number, i) => {
      const at = now.head * valueWidth + i;
      const name = `${i ? "+" : "="} ${bracket(short(number))} × row ${at} of W^O`;
      const cells = now.wORow(at).map((w, d) => element("td", { "data-feature": d }, short(w)));
      return element(
        "tr",
        { className: "mha-step-rows" },
        element("td", {}),
        element("td", { colSpan: 2 }, name),
        ...cells,
      );
    });
  }

  /** D numbers as cells, or where they are many as one strip of tints. */
  function added(numbers, reach) {
    if (D > MOST_NUMBERS) {
      const [strip] = vector(numbers, reach, 0);
      strip.append(element("i"));
      return [element("td", { className: "mha-step-wide" }, strip)];
    }
    return numbers.map((number, d) => {
      const cell = element("td", { className: "mha-step-share", "data-feature": d }, short(number));
      cell.style.backgroundColor = tint(number, reach, STRONGEST);
      return cell;
    });
  }

  /** A vector as its numbers, or where they are many as a strip of tints. */
  function vector(numbers, reach, most) {
    if (numbers.length <= most)
      return [element("span", {}, ...numbers.map((number) => element("b", {}, short(number))))];
    const end = (i) => `${(100 * i) / numbers.length}%`;
    const stops = numbers.map((number, i) => `${tint(number, reach)} ${end(i)} ${end(i + 1)}`);
    const text = numbers.map(short).join("  ");
    const strip = element("span", { className: "mha-step-strip", role: "img", title: text, "aria-label": text });
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
    const track = element("span", { className: `mha-step-track ${from < 0 ? "" : "mha-step-whole"}` }, fill);
    track.style.setProperty("--mha-zero", `${place(0)}%`);
    return element("td", { className: `mha-step-bar ${classes}` }, element("div", {}, track, element("b", {}, text)));
  }

  /** What is pointed at, marked and written out. */
  function showPointed() {
    const said = words.map(quoted);
    if (now.stage < 6) {
      const j = keyOf();
      explanation.textContent = explain(now.stage, { ...now, words: said, k: now.k(j), v: now.v(j), j, now });
      [...table.tBodies[0].rows].forEach((row, i) => row.classList.toggle("mha-step-hovered", i === j));
      return;
    }
    const feature = featureOf();
    const column = now.output.map((_, i) => now.wORow(now.head * valueWidth + i)[feature]);
    const facts = { ...now, feature, column, name: quoted(features[feature]), word: said[now.row] };
    explanation.textContent = explainSum(facts);
    table.querySelectorAll("[data-feature]").forEach((cell) => {
      cell.classList.toggle("mha-step-pointed", cell.dataset.feature === String(feature));
    });
    table.querySelectorAll(".mha-step-wide i").forEach((mark) => (mark.style.left = `${(100 * feature) / D}%`));
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  let playing = 0;

  function go(stage) {
    if (stage >= 1 && stage <= last) change({ stage });
  }

  function start() {
    if (calm.matches) return go(last);
    if (model.get("stage") === last) go(1);
    playing = setInterval(() => {
      go(model.get("stage") + 1);
      if (model.get("stage") === last) pause();
    }, PAUSE);
    schedule();
  }

  function pause() {
    clearInterval(playing);
    playing = 0;
    schedule();
  }

  frame.onkeydown = (event) => {
    const across = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (event.key === "Escape") change({ hovered: -1, feature: -1 });
    else if (now.stage === 6 && across) move(event, "feature", featureOf(), D);
    else if (now.stage === 6) move(event, "head", now.head, H);
    else if (across) move(event, "stage", model.get("stage"), last, 1);
    else move(event, "hovered", keyOf(), n);
  };
  table.onpointermove = ({ target, clientX }) => {
    if (model.get("stage") < 6) return;
    const strip = target.closest(".mha-step-wide .mha-step-strip")?.getBoundingClientRect();
    const feature = strip
      ? Math.min(D - 1, Math.max(0, Math.floor((D * (clientX - strip.left)) / strip.width)))
      : Number(target.closest("[data-feature]")?.dataset.feature ?? -1);
    if (feature !== model.get("feature")) change({ feature });
  };
  table.onpointerleave = () => model.get("feature") >= 0 && change({ feature: -1 });
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys
  heat.oninput = () => change({ temperature: Number((2 ** heat.value).toPrecision(4)) });
  causal.onchange = () => change({ causal: causal.checked });

  const ends = [
    watch(model, ["position", "head", "stage", "temperature", "causal"], schedule),
    watch(model, ["hovered", "feature"], () => schedule.pending || showPointed()),
  ];
  const resized = new ResizeObserver(() => frame.clientWidth === drawnWidth || schedule());
  resized.observe(frame);
  schedule();

  return () => {
    resized.disconnect();
    schedule.cancel();
    clearInterval(playing);
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { render };
