// CostExplorer: what a layer costs in parameters, FLOPs, memory and time, while its sizes move.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is that of mha_lab.cost, done here,
// without the kernel.

import { abs, changer, countDrawing, divisors, element, floor, grouped, max, min, round, scheduler, watch } from "../shared/common.js";
import { modelsMenu } from "../shared/models_menu.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

const PATHS = ["explicit", "fused"];
const BYTES = { float32: 4, bfloat16: 2 };
const FRESH = 32 * 2 ** 20; // cost.FRESH
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** d_head where it is set, and d_model / num_heads where it is not. */
export const headWidth = ({ d_model, num_heads, d_head }) => d_head ?? d_model / num_heads;

/** Numbers in what a layer holds: x and context, query (as many as the heads' outputs), key (as value), scores. */
const held = ({ B, n, d, H, G, K }) => ({ x: B * n * d, query: B * n * H * K, kv: B * n * G * K, scores: B * H * n * n });

/** What the sizes { n, d_model, num_heads, num_kv_heads, d_head, batch, dtype, bias } cost; machine as in mha_lab.cost, or
 *  null. */
export function costs(sizes, machine = null) {
  const { n, d_model: d, num_heads: H, num_kv_heads: G, batch: B, dtype = "float32", bias = true } = sizes;
  const layer = { B, n, d, H, G, K: headWidth(sizes) };
  const [width, kvWidth] = [H * layer.K, G * layer.K];
  const { x, query, kv, scores } = held(layer);
  const flops = {
    "W^Q": 2 * x * width,
    "W^K": 2 * x * kvWidth,
    "W^V": 2 * x * kvWidth,
    "W^O": 2 * x * width,
    QKᵀ: 2 * query * n,
    AV: 2 * query * n,
  };
  const seconds = {};
  const moved = {};
  for (const path of PATHS) {
    if (machine && dtype === "float32") seconds[path] = predict(machine, layer, path);
    const steps = Object.values(traffic(layer, path));
    moved[path] = sum(steps) * BYTES[dtype];
  }
  const biases = { true: width + 2 * kvWidth + d, QKV: width + 2 * kvWidth, false: 0 };
  return {
    parameters: 2 * d * width + 2 * d * kvWidth + biases[bias],
    flops,
    scores,
    scores_bytes: scores * BYTES[dtype],
    peak_bytes: peakBytes(layer, BYTES[dtype]),
    moved_bytes: moved,
    cache_bytes: 2 * kv * BYTES[dtype],
    crossing: d + floor((d * G) / H),
    seconds,
  };
}

/** Bytes at the worst moment of the explicit path: cost.explicit_peak_bytes. */
function peakBytes(layer, bytes) {
  const { B, n, H, G } = layer;
  const { x, query, kv, scores } = held(layer);
  const merged = H > 1 && n > 1 ? query : 0;
  const queries = query + (B > 1 || G < H ? merged : 0);
  const copied = B > 1 && n > 1 && G > 1 ? kv : 0;
  const [projected, end] = [query + 2 * kv, query + merged + x];
  if (bytes === 2) {
    const inside = 4 * (projected + scores + queries + copied); // scores and weights in 32 bits
    return 2 * projected + max(inside, 6 * (query + scores), 2 * (scores + end));
  }
  return (projected + scores + max(end, queries + copied)) * bytes;
}

/** Numbers that one forward pass reads and writes, by step: cost.traffic_bytes. */
function traffic(layer, path) {
  const { d, H, G, K } = layer;
  const { x, query, kv, scores } = held(layer);
  const inner =
    path === "explicit"
      ? { scale: 2 * query, QKᵀ: query + kv + scores, softmax: 2 * scores, AV: scores + kv + query }
      : { attention: 2 * query + 2 * kv };
  return {
    "W^Q": x + d * H * K + query,
    "W^K": x + d * G * K + kv,
    "W^V": x + d * G * K + kv,
    ...inner,
    merge: 2 * query,
    "W^O": query + H * K * d + x,
  };
}

/** Seconds of one forward pass in float32: cost.predict. */
export function predict(machine, layer, path) {
  const { B, n, d, H, G, K } = layer;
  const { x, query, kv, scores } = held(layer);
  const weights = { "W^Q": d * H * K, "W^K": d * G * K, "W^V": d * G * K, "W^O": d * H * K };
  const written = { "W^K": kv, "W^V": kv, QKᵀ: scores, softmax: 0, "W^O": x };
  let total = 0;
  for (const [step, moved] of Object.entries(traffic(layer, path))) {
    const table = machine.step_seconds[step in weights ? "W" : step];
    let work = 0;
    if (step in weights) work = B * n * weights[step] * at(table, B * n, d);
    else if (step === "softmax") work = scores * at(table, n, 1);
    else if (step !== "merge" && step !== "scale") work = scores * at(table, n, K) * max(1, K / table.at(-1)[1]);
    if (step !== "softmax") work = max(work, (4 * moved) / machine.bytes_per_second);
    const result = 4 * (written[step] ?? query);
    total += work + (result >= FRESH ? result * machine.page_seconds : 0);
  }
  const calls = machine.call_seconds[path];
  return machine.device === "cpu" ? calls + total : max(calls, total);
}

/** Seconds at (n, width): between the rows of the table on logarithmic axes, beyond them as at its edge. */
function at(table, n, width) {
  const marks = (axis) => [...new Set(table.map((row) => row[axis]))].sort((a, b) => a - b);
  const log = (m, w) => Math.log(table.find((row) => row[0] === m && row[1] === w)[2]);
  const [n0, n1, a] = between(marks(0), n);
  const [w0, w1, b] = between(marks(1), width);
  const narrow = (1 - a) * log(n0, w0) + a * log(n1, w0);
  const wide = (1 - a) * log(n0, w1) + a * log(n1, w1);
  return Math.exp((1 - b) * narrow + b * wide);
}

/** The marks on either side of a position, and how far it is from the first to the second. */
function between(marks, position) {
  if (position <= marks[0] || marks.length === 1) return [marks[0], marks[0], 0];
  if (position >= marks.at(-1)) return [marks.at(-1), marks.at(-1), 0];
  const i = marks.findIndex((mark) => mark > position);
  const [low, high] = [marks[i - 1], marks[i]];
  return [low, high, Math.log(position / low) / Math.log(high / low)];
}

/** The choice that is nearest to a wish, by their ratio. */
const nearest = (choices, wish) =>
  choices.reduce((best, choice) => (abs(Math.log(choice / wish)) < abs(Math.log(best / wish)) ? choice : best));

/** Head counts to choose from: with d_head set, num_heads need not divide d_model. */
const headCounts = ({ d_model, d_head }) => (d_head ? HEADS : divisors(d_model));

/** The new sizes with head counts that divide, each the nearest one that does. Where no head shared, none will. */
export function settled({ d_model, num_heads, num_kv_heads, d_head = null, ...rest }, before) {
  const heads = d_head ? num_heads : nearest(divisors(d_model), num_heads);
  const unshared = before.num_kv_heads === before.num_heads && num_kv_heads === before.num_kv_heads;
  const kvHeads = unshared ? heads : nearest(divisors(heads), min(num_kv_heads, heads));
  return { ...rest, d_model, num_heads: heads, num_kv_heads: kvHeads, d_head };
}

/** A positive number in three digits with its unit: "FLOP" and "" in thousands, "B" in 1,024s, "s" from µs on. */
export function amount(value, unit) {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"].map((prefix) => prefix + unit);
  const steps = { B: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], s: ["µs", "ms", "s"] }[unit] ?? prefixes;
  const base = unit === "B" ? 1024 : 1000;
  let rest = unit === "s" ? value * 1e6 : value;
  for (const step of steps) {
    if (rest < 999.5 || step === steps.at(-1)) {
      return `${rest < 999.5 ? Number(rest.toPrecision(3)) : grouped(round(rest))} ${step}`.trim();
    }
    rest /= base;
  }
}

// ----------------------------------------------------------------------------------------------------------------- page

export const LENGTHS = Array.from({ length: 27 }, (_, i) => (16 * 2 ** floor(i / 2) * (i % 2 ? 3 : 2)) / 2);
const WIDTHS = [64, 128, 192, 256, 384, 512, 576, 768, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 8192];
const HEADS = [1, 2, 3, 4, 5, 6, 8, 9, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128];
const HEAD_WIDTHS = [null, 8, 16, 32, 48, 64, 80, 96, 128, 192, 256, 512]; // null: d_model / heads
const BATCHES = [1, 2, 4, 8, 16, 32, 64];
const SIZES = ["n", "d_model", "num_heads", "num_kv_heads", "d_head", "batch", "dtype", "bias"];
const TERMS = ["W^Q", "W^K", "W^V", "W^O", "QKᵀ", "AV"];
const MARKS = ["m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "m-5 0l5 -5l5 5l-5 5z"]; // ● and ◆, as in the timings panel
const [NARROWEST, WIDEST, GAP] = [256, 400, 12]; // of charts, and between them: three stand side by side on a projector
const [LEFT, RIGHT, TOP, BOTTOM] = [78, 10, 12, 46]; // around a chart's curves

function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const products = ({ flops }) => flops.QKᵀ + flops.AV;
/** Title, unit and curves (what to draw of `costs`) of each chart. */
const CHARTS = [
  ["FLOPs", "FLOP", { projections: (c) => sum(Object.values(c.flops)) - products(c), "QKᵀ and AV": products }],
  ["Memory", "B", { "explicit peak": (c) => c.peak_bytes, scores: (c) => c.scores_bytes, "KV cache": (c) => c.cache_bytes }],
  ["Time", "s", { explicit: (c) => c.seconds.explicit, fused: (c) => c.seconds.fused }],
];

/** The numbers behind the charts: a row for every second length, the present one, and those that were measured. */
function numbersTable(sizes, machine, measured) {
  const lengths = new Set([...LENGTHS.filter((_, i) => i % 2 === 0), sizes.n, ...measured.map(([n]) => n)]);
  const curves = CHARTS.flatMap(([title, unit, of]) => Object.entries(of).map(([name, get]) => [title, name, unit, get]));
  const columns = curves.filter(([, , unit]) => unit !== "s" || (machine && sizes.dtype === "float32"));
  const paths = [...new Set(measured.map(([, , path]) => path))];
  const heads = ["tokens", ...columns.map(([title, name]) => `${title}: ${name}`), ...paths.map((path) => `measured: ${path}`)];
  const rows = [...lengths].sort((a, b) => a - b).map((n) => {
    const at = costs({ ...sizes, n }, machine);
    const times = paths.map((path) => measured.find(([m, , p]) => m === n && p === path)?.[1]);
    const cells = [
      ...columns.map(([, , unit, get]) => amount(get(at), unit)),
      ...times.map((time) => (time === undefined ? "" : amount(time, "s"))),
    ];
    const head = element("th", { scope: "row" }, grouped(n));
    return element("tr", {}, head, ...cells.map((cell) => element("td", {}, cell)));
  });
  const top = element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)));
  return element("table", {}, element("thead", {}, top), element("tbody", {}, ...rows));
}

/** FLOPs of each term at the present length, and their part of all. */
function termsTable({ n }, { flops }) {
  const total = sum(Object.values(flops));
  const row = (name, tag, words) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...words.map((text) => element(tag, {}, text)));
  const top = element("tr", {}, element("td"), ...TERMS.map((term) => element("th", { scope: "col" }, term)));
  const counts = row("FLOPs", "td", TERMS.map((term) => amount(flops[term], "FLOP")));
  const parts = row("share", "td", TERMS.map((term) => percent(flops[term], total)));
  const caption = element("caption", {}, `FLOPs by term at ${grouped(n)} tokens`);
  return element("table", {}, caption, element("thead", {}, top), element("tbody", {}, counts, parts));
}

const percent = (part, total) => `${((100 * part) / total).toFixed(1)}%`;

/** A path's mark at (x, y). */
const mark = (path, x, y, ...children) =>
  shape("path", { class: `mha-cost-point mha-cost-${path}`, d: `M${x} ${y}${MARKS[PATHS.indexOf(path)]}` }, ...children);

/**
 * Curves over n, both axes logarithmic; points are measured; `marks` are vertical lines [n, class, words]. width is in
 * pixels of the page, so that letters keep their size.
 */
function chart(title, unit, curves, points, marks, label, width) {
  const height = round(0.75 * width + 20);
  const dots = points.filter(([n]) => n >= LENGTHS[0] && n <= LENGTHS.at(-1));
  const bottom = height - BOTTOM;
  const values = [...curves.flatMap(([, ys]) => ys), ...dots.map(([, y]) => y)];
  const base = unit === "B" ? 32 : 10; // so that ticks are round
  const level = (y) => Math.log(y) / Math.log(base);
  const low = floor(level(min(...values)));
  const high = max(low + 1, Math.ceil(level(max(...values))));
  const [first, last] = [Math.log(LENGTHS[0]), Math.log(LENGTHS.at(-1))];
  const across = (n) => LEFT + ((Math.log(n) - first) / (last - first)) * (width - LEFT - RIGHT);
  const up = (y) => bottom - ((level(y) - low) / (high - low)) * (bottom - TOP);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const write = (x, y, words, attributes = {}) => svg.append(shape("text", { x, y, ...attributes }, words));
  for (let power = low; power <= high; power += max(1, floor((high - low) / 6))) {
    const y = up(base ** power);
    svg.append(shape("line", { class: "mha-cost-grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
    write(LEFT - 6, y + 4, amount(base ** power, unit), { "text-anchor": "end" });
  }
  for (const n of width < 340 ? [16, 1024, 65536] : [16, 128, 1024, 8192, 65536]) {
    write(across(n), bottom + 16, grouped(n), { "text-anchor": "middle" });
  }
  write((LEFT + width) / 2, height - 8, "tokens", { "text-anchor": "middle" });
  for (const [n, name, words] of marks) {
    if (n < LENGTHS[0] || n > LENGTHS.at(-1)) continue;
    const x = across(n);
    svg.append(shape("line", { class: name, x1: x, x2: x, y1: TOP, y2: bottom }));
    const left = x - LEFT > width - x && width - x < 7 * words.length + 10; // where on the right is too little room
    const side = { class: "mha-cost-note", "text-anchor": left ? "end" : "start" };
    if (words) write(x + (left ? -5 : 5), bottom - 8, words, side);
  }
  curves.forEach(([name, ys], row) => {
    const corners = ys.map((y, i) => `${across(LENGTHS[i]).toFixed(1)},${up(y).toFixed(1)}`).join(" ");
    const kind = name.split(" ")[0];
    svg.append(shape("polyline", { class: `mha-cost-curve mha-cost-${kind}`, points: corners }));
    const y = TOP + 14 + 17 * row;
    const sample = { class: `mha-cost-curve mha-cost-${kind}`, x1: LEFT + 6, x2: LEFT + 36, y1: y - 4, y2: y - 4 };
    if (ys.length) svg.append(shape("line", sample));
    if (points.some(([, , path]) => path === name)) svg.append(mark(name, LEFT + 21, y - 4));
    write(LEFT + 42, y, name, { class: `mha-cost-name mha-cost-${kind}` });
  });
  for (const [n, y, path] of dots) {
    const words = `measured, ${path}: ${amount(y, "s")} at ${grouped(n)} tokens`;
    svg.append(mark(path, across(n), up(y), shape("title", {}, words)));
  }
  return element("figure", {}, element("figcaption", {}, title), svg);
}

function render({ model, el }) {
  const change = changer(model);
  const present = () => Object.fromEntries(SIZES.map((name) => [name, model.get(name)]));
  const set = (traits) => change(settled({ ...present(), ...traits }, present()));

  // ------------------------------------------------------------------------------------------------------------ elements
  /** A slider over the places of a list that may change; it says the value, not the place. null comes first. */
  function slider(name, words, choices, text = (sizes) => grouped(sizes[name])) {
    const input = element("input", { type: "range", min: 0, step: 1 });
    const output = element("output");
    input.oninput = () => set({ [name]: choices(present())[input.value] });
    const show = (sizes) => {
      const list = choices(sizes);
      input.max = list.length - 1;
      input.value = sizes[name] === null ? 0 : list.indexOf(nearest(list.filter(Boolean), sizes[name]));
      input.disabled = list.length === 1;
      output.textContent = text(sizes);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    return { label: element("label", {}, element("span", {}, words), input, output), show };
  }
  const sliders = [
    slider("n", "tokens", () => LENGTHS),
    slider("d_model", "d_model", () => WIDTHS),
    slider("num_heads", "heads", headCounts),
    slider("num_kv_heads", "K/V heads", ({ num_heads }) => divisors(num_heads)),
    slider("d_head", "d_head", () => HEAD_WIDTHS, (sizes) => `${grouped(headWidth(sizes))}${sizes.d_head ? "" : " = d/h"}`),
    slider("batch", "batch", () => BATCHES),
  ];
  const models = model.get("_models");
  const menu = modelsMenu(models, model.get("_others"), [element("option", { value: "" }, "sizes of your own")]);
  menu.onchange = () => {
    const chosen = models.find(({ name }) => name === menu.value);
    if (!chosen) return;
    const { n, d_model, num_heads, num_kv_heads, d_head, bias } = chosen;
    change({ n, d_model, num_heads, num_kv_heads, d_head, bias, batch: 1 });
  };
  const dtype = element("select", {}, ...Object.keys(BYTES).map((name) => element("option", { value: name }, name)));
  dtype.onchange = () => change({ dtype: dtype.value });
  const source = element("small");
  const about = element("p", { className: "mha-cost-about" });
  const facts = element("div", { className: "mha-cost-facts", "aria-live": "polite" });
  const bar = element("div", { className: "mha-cost-bar", role: "img" });
  const charts = element("div", { className: "mha-cost-charts" });
  const note = element("p", { className: "mha-cost-note" });
  const table = element("details", { ontoggle: () => schedule() }, element("summary", {}, "the charts in numbers"));
  const root = element(
    "div",
    { className: "mha mha-cost", "data-lm-suppress-shortcuts": "true" },
    element(
      "div",
      { className: "mha-cost-line" },
      element("label", {}, "model", menu),
      element("label", {}, "numbers", dtype),
      source,
    ),
    about,
    element("div", { className: "mha-cost-sliders" }, ...sliders.map(({ label }) => label)),
    facts,
    bar,
    charts,
    note,
    table,
  );
  el.append(root);
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);
  let drawnWidth = 0; // of all charts

  function draw() {
    const sizes = present();
    const machine = model.get("_machine");
    const now = costs(sizes, machine);
    sliders.forEach(({ show }) => show(sizes));
    const same = (real) =>
      ["d_model", "num_heads", "num_kv_heads", "bias"].every((name) => sizes[name] === real[name]) &&
      headWidth(sizes) === headWidth(real);
    const alike = models.filter(same);
    const real = alike.find(({ name }) => name === menu.value) ?? alike.find(({ n }) => n === sizes.n) ?? alike[0];
    menu.value = real?.name ?? "";
    source.textContent = about.textContent = "";
    if (real) showModel(real);
    dtype.value = sizes.dtype;
    showFacts(sizes, now);
    showBar(now);
    showCharts(sizes, now, machine);
    countDrawing(root);
  }

  /** Where the sizes of a real model come from, and what is not counted of it. */
  function showModel({ context, window, source: published, bias, layers, left_out }) {
    const seen = window ? `, of which a layer sees ${grouped(window)}` : "";
    const without = bias === "QKV" ? "; no bias on W^O" : "";
    source.textContent = `${published}; longest text ${grouped(context)} tokens${seen}${without}`;
    const parts = [];
    if (layers) parts.push(`Layers: ${layers}.`);
    if (left_out) parts.push(`Left out: ${left_out}.`);
    about.textContent = parts.join(" ");
  }

  function showFacts(sizes, now) {
    const total = sum(Object.values(now.flops));
    const boxes = [
      [grouped(now.parameters), `parameters, d_head ${grouped(headWidth(sizes))}`],
      [amount(total, "FLOP"), `${round((100 * (now.flops.QKᵀ + now.flops.AV)) / total)}% in QKᵀ and AV`],
      [amount(now.scores_bytes, "B"), `${grouped(now.scores)} scores`],
      [amount(now.peak_bytes, "B"), "peak of the explicit path"],
      [amount(now.moved_bytes.explicit, "B"), `read and written; fused ${amount(now.moved_bytes.fused, "B")}`],
      [amount(now.cache_bytes, "B"), "KV cache of this layer"],
      ...Object.entries(now.seconds).map(([path, time]) => [amount(time, "s"), `predicted, ${path}`]),
    ];
    facts.style.gridTemplateColumns = `repeat(${boxes.length / 2}, 1fr)`; // two rows, with and without a machine
    facts.replaceChildren(
      ...boxes.map(([value, words]) => element("div", {}, element("b", {}, value), element("small", {}, words))),
    );
  }

  function showBar(now) {
    const total = sum(Object.values(now.flops));
    const words = TERMS.map((term) => `${term} ${amount(now.flops[term], "FLOP")}, ${percent(now.flops[term], total)}`);
    bar.setAttribute("aria-label", `FLOPs: ${words.join("; ")}`);
    bar.replaceChildren(
      ...TERMS.map((term, i) => {
        const piece = element("span", { title: words[i] }, now.flops[term] / total > 0.05 ? term : "");
        piece.dataset.term = term;
        piece.style.flexGrow = now.flops[term] / total;
        return piece;
      }),
    );
  }

  function showCharts(sizes, now, machine) {
    const over = LENGTHS.map((n) => costs({ ...sizes, n }, machine));
    const here = [sizes.n, "mha-cost-here", ""];
    const meet = `${sizes.num_kv_heads === sizes.num_heads ? "n = 2d = " : "equal at "}${grouped(now.crossing)}`;
    const found = model.get("_measured");
    const then = model.get("_measured_at");
    const these = { ...sizes, d_head: headWidth(sizes) };
    const measured = Object.entries(then).every(([name, value]) => these[name] === value) ? found : [];
    const times = Object.keys(now.seconds).length > 0;
    const shown = CHARTS.filter(([, unit]) => unit !== "s" || times || measured.length);
    drawnWidth = charts.clientWidth;
    const columns = min(shown.length, max(1, floor((drawnWidth + GAP) / (NARROWEST + GAP))));
    const width = min(WIDEST, round((drawnWidth + GAP) / columns - GAP)) || WIDEST;
    charts.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    charts.replaceChildren(
      ...shown.map(([title, unit, curves]) => {
        const names = unit === "s" && !times ? [] : Object.keys(curves);
        const alone = names.length ? [] : PATHS.filter((path) => measured.some(([, , own]) => own === path)); // points
        const lines = [...names.map((name) => [name, over.map(curves[name])]), ...alone.map((path) => [path, []])];
        const marks = unit === "FLOP" ? [here, [now.crossing, "mha-cost-meet", meet]] : [here];
        const words = names.map((name) => `${name} ${amount(curves[name](now), unit)}`).join(", ");
        const label = `${title} against tokens; at ${grouped(sizes.n)}: ${words}`;
        return chart(title, unit, lines, unit === "s" ? measured : [], marks, label, width);
      }),
    );
    if (table.open)
      table.replaceChildren(table.firstChild, termsTable(sizes, now), numbersTable(sizes, machine, measured));
    const parts = [];
    const together = sizes.num_heads * headWidth(sizes);
    if (together !== sizes.d_model) {
      const ratio = Number((together / sizes.d_model).toPrecision(3));
      const heads = `${grouped(sizes.num_heads)} heads × ${grouped(headWidth(sizes))} = ${grouped(together)}`;
      parts.push(`${heads}, ${ratio} × d_model: W^Q leads there, and W^O back.`);
    }
    if (machine) parts.push(times ? "Curves of time: predicted in float32." : "Time is predicted in float32 only.");
    if (measured.length) parts.push("Points: measured.");
    else if (found.length) {
      const { d_model, num_heads, num_kv_heads, d_head, batch, dtype } = then;
      const own = d_head === d_model / num_heads ? "" : `d_head ${d_head}, `;
      const layer = `d_model ${grouped(d_model)}, ${num_heads} heads, ${num_kv_heads} K/V heads, ${own}batch ${batch}, ${dtype}`;
      parts.push(`The measured points belong to ${layer}.`);
    }
    note.textContent = parts.join(" ");
  }

  const ends = [watch(model, [...SIZES, "_machine", "_measured", "_measured_at"], schedule)];
  const resized = new ResizeObserver(() => charts.clientWidth === drawnWidth || schedule());
  resized.observe(charts);
  schedule();
  return () => {
    resized.disconnect();
    schedule.cancel();
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { render };
