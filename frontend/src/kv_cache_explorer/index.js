// KVCacheExplorer: the bytes that a decoder keeps for every token, beside the memory and the bandwidth there is.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { changer, countDrawing, divisors, element, grouped, scheduler, watch } from "../shared/common.js";
import { modelsMenu } from "../shared/models_menu.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/** Entries that a store keeps of a text: published.Store.entries. */
export function entries({ window, every }, tokens) {
  const all = Math.floor(tokens / every);
  return window > 0 ? Math.min(all, window) : all;
}

/** Key/value heads of a store where the model has `heads`: some models' local layers have twice as many. */
const headsOf = ({ num_heads, num_kv_heads }, store, heads) => Math.min(num_heads, Math.floor((heads * store.heads) / num_kv_heads));

/** Numbers an entry in one layer: a key and a value for each head, or one latent for all (heads = null). */
export function numbersKept(model, store, heads) {
  const fixed = store.kind === "state" || (heads === null && store.fixed > 0);
  return fixed ? store.fixed : headsOf(model, store, heads ?? model.num_kv_heads) * (store.key + store.value);
}

/** Bytes of the cache of `batch` texts. heads = null stands for the latent. */
export function cacheBytes(model, { heads, context, batch, width }) {
  const kept = model.stores.map((store) => store.layers * entries(store, context) * numbersKept(model, store, heads));
  return batch * kept.reduce((total, numbers) => total + numbers, 0) * width;
}

/** Bytes that one token adds to the cache of one text while no window is full. */
export function tokenBytes(model, { heads, width }) {
  const growing = model.stores.filter(({ kind }) => kind !== "state");
  const numbers = growing.map((store) => (store.layers * numbersKept(model, store, heads)) / store.every);
  return Math.floor(numbers.reduce((total, each) => total + each, 0) * width);
}

/** A number of bytes in words: 128 KiB, 1.5 GiB. */
export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; bytes >= 1024 && i < 4; i++) bytes /= 1024;
  const digits = bytes >= 100 || Number.isInteger(bytes) ? 0 : bytes >= 10 ? 1 : 2;
  return `${grouped(bytes, digits)} ${units[i]}`;
}

/** Tokens a second in few digits. */
export const perSecond = (rate) => (rate >= 10 ? grouped(rate) : String(Number(rate.toPrecision(2))));

// ----------------------------------------------------------------------------------------------------------------- page

const SLOWEST = 1; // powers of ten at the ends of the bandwidth slider: 10 GB/s …
const FASTEST = 4; // … 10,000 GB/s
const GIB = 2 ** 30;

function render({ model, el }) {
  // ------------------------------------------------------------------------------------------------------------ elements
  const choice = (entries) =>
    element("select", {}, ...entries.map(([value, text]) => element("option", { value: String(value) }, text)));
  const slider = (min, max, step) => element("input", { type: "range", min, max, step });
  const named = (text, ...parts) => element("label", {}, element("span", {}, text), ...parts);

  const which = modelsMenu(model.get("_presets"), model.get("_others"));
  const width = choice([4, 2, 1].map((bytes) => [bytes, `${bytes} (${8 * bytes} bits)`]));
  const budget = choice([8, 16, 24, 80].map((gib) => [gib, `${gib} GiB`]));
  const steps = { context: model.get("_contexts"), batch: model.get("_batches") };
  const context = slider(0, steps.context.length - 1, 1);
  const batch = slider(0, steps.batch.length - 1, 1);
  const heads = slider(0, 1, 1);
  const bandwidth = slider(SLOWEST, FASTEST, 0.02);
  const texts = Object.fromEntries(["context", "batch", "heads", "bandwidth"].map((key) => [key, element("output")]));
  const total = element("p", { className: "mha-cache-total" });
  const formula = element("p");
  const parts = element("ul", { className: "mha-cache-parts" });
  const speed = element("p", { className: "mha-cache-speed" });
  const note = element("p", { className: "mha-cache-note" });
  const bars = element("div", { className: "mha-cache-bars" });
  const source = element("p", { className: "mha-cache-note" });
  const root = element(
    "div",
    { className: "mha mha-cache", "data-lm-suppress-shortcuts": "true" },
    element(
      "div",
      { className: "mha-cache-controls" },
      named("model", which),
      named("context", context, texts.context),
      named("key/value heads", heads, texts.heads),
      named("texts at once", batch, texts.batch),
      named("bytes a number", width),
      named("bandwidth", bandwidth, texts.bandwidth),
      named("memory for it", budget),
    ),
    element("div", { "aria-live": "polite" }, total, formula, parts, speed),
    note,
    bars,
    source,
  );
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const change = changer(model);

  const chosen = () => model.get("_presets").find(({ name }) => name === model.get("model"));

  function present() {
    const sizes = chosen();
    const now = {
      heads: sizes.latent ? null : model.get("num_kv_heads"),
      context: model.get("context"),
      batch: model.get("batch"),
      width: model.get("bytes_per_number"),
    };
    const bytes = cacheBytes(sizes, now);
    const token = tokenBytes(sizes, now);
    return { ...now, sizes, bytes, token, rate: (model.get("bandwidth") * 1e9) / bytes };
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);

  function draw() {
    const now = present();
    showControls(now);
    showNumbers(now);
    showBars(now);
    root.dataset.bytes = now.bytes;
    root.dataset.token = now.token;
    root.dataset.rate = now.rate;
    countDrawing(root);
  }

  /** The step of a slider that is nearest to a value, which Python may set between two steps. */
  const nearest = (values, value) =>
    values.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(values[best] - value) ? i : best), 0);

  function showControls({ sizes, heads: g, batch: b, width: w, context: n }) {
    const all = divisors(sizes.num_heads);
    which.value = sizes.name;
    width.value = String(w);
    budget.value = String(model.get("budget"));
    context.value = nearest(steps.context, n);
    batch.value = nearest(steps.batch, b);
    heads.max = all.length - 1;
    heads.value = g === null ? all.length - 1 : all.indexOf(g);
    heads.disabled = g === null;
    const power = Math.log10(model.get("bandwidth"));
    if (document.activeElement !== bandwidth || Math.abs(bandwidth.value - power) > 0.03) bandwidth.value = power;
    texts.context.textContent = `${grouped(n)} tokens`;
    texts.batch.textContent = grouped(b);
    texts.heads.textContent = g === null ? "one latent" : `${g} of ${sizes.num_heads}`;
    texts.bandwidth.textContent = `${grouped(model.get("bandwidth"))} GB/s`;
    for (const [key, input] of Object.entries({ context, batch, heads, bandwidth })) {
      input.setAttribute("aria-valuetext", texts[key].textContent);
    }
  }

  /** Numbers an entry in one layer, as they come about. */
  function numbersInWords(sizes, store, g) {
    if (store.kind === "state" || g === null) return `${grouped(store.fixed)} numbers`;
    const { key, value } = store;
    const heads = headsOf(sizes, store, g);
    const many = `${heads} head${heads === 1 ? "" : "s"}`;
    if (key === value) return `2 × ${many} × ${key} numbers`;
    const pair = `(${key} + ${value})`;
    return `${many} × ${value ? pair : key} numbers`;
  }

  function showNumbers({ sizes, heads: g, context: n, batch: b, width: w, bytes, token, rate }) {
    const many = b === 1 ? "" : ` × ${grouped(b)} texts`;
    const { stores } = sizes;
    const local = stores.filter(({ kind }) => kind === "local");
    const kinds = stores.length === 1 ? [""] : stores.map(({ kind }) => `${kind}: `);
    total.textContent = `${size(bytes)} of ${sizes.kept}`;
    formula.textContent = `${size(token)} a token${local.length ? " until a window is full" : ""}; layers: ${sizes.layers}`;
    parts.replaceChildren(
      ...stores.map((store, i) => {
        const layers = `${store.layers} layer${store.layers === 1 ? "" : "s"}`;
        const count = store.kind === "state" ? "" : ` × ${grouped(entries(store, n))} ${store.every > 1 ? "entries" : "tokens"}`;
        const kept = store.layers * entries(store, n) * numbersKept(sizes, store, g) * w * b;
        const words = `${layers} × ${numbersInWords(sizes, store, g)} × ${w} bytes${count}${many}`;
        return element("li", {}, `${kinds[i]}${words} = ${size(kept)}`);
      }),
    );
    speed.textContent =
      `at most ${perSecond(rate)} tokens a second${b === 1 ? "" : " for each text"}: ` +
      `${grouped(model.get("bandwidth"))} GB/s, and every step reads the whole cache`;
    const remarks = [];
    if (sizes.published && n > sizes.published) remarks.push(`Published for ${grouped(sizes.published)} tokens: this is beyond.`);
    for (const { layers, window } of local) {
      if (window < n) remarks.push(`A sliding window: ${layers} layers keep the last ${grouped(window)} tokens.`);
    }
    if (g !== null && g !== sizes.num_kv_heads) remarks.push(`The published model has ${sizes.num_kv_heads}.`);
    if (sizes.left_out) remarks.push(`Left out: ${sizes.left_out}.`);
    note.textContent = [...remarks, "The model's weights come on top, in memory and in reading."].join(" ");
    source.textContent = `Sizes: ${sizes.source}`;
  }

  function showBars(now) {
    const { sizes } = now;
    const rows = divisors(sizes.num_heads).map((g) => [g, `${g}${{ 1: " (MQA)", [sizes.num_heads]: " (MHA)" }[g] ?? ""}`]);
    if (sizes.latent) rows.unshift([null, "latent"]);
    const counts = rows.map(([g]) => cacheBytes(sizes, { ...now, heads: g }));
    const largest = Math.max(...counts);
    const limit = model.get("budget") * GIB;
    const drawn = rows.map(([g, label], i) => {
      const fill = element("i", { className: "mha-cache-fill" });
      fill.style.width = `${(100 * counts[i]) / largest}%`;
      const words = `${size(counts[i])}${counts[i] > limit ? " over budget" : ""}`;
      const row = tableRow("cell", label, fill, words);
      row.classList.toggle("mha-cache-chosen", g === now.heads);
      row.classList.toggle("mha-cache-over", counts[i] > limit);
      if (g === now.heads) row.setAttribute("aria-current", "true");
      return row;
    });
    const heading = tableRow("columnheader", "key/value heads", "", "cache");
    heading.classList.add("mha-cache-heading");
    const label = `Cache of ${grouped(now.batch)} × ${grouped(now.context)} tokens`;
    bars.replaceChildren(
      element("div", { role: "table", "aria-label": label }, heading, ...drawn),
      limitLine(limit, largest),
    );
  }

  /** A row of the table in which a bar stands between the heads and the bytes; a reader needs no bar. */
  function tableRow(role, heads, bar, bytes) {
    return element(
      "div",
      { className: "mha-cache-row", role: "row" },
      element("span", { role }, heads),
      element("span", { "aria-hidden": "true" }, bar),
      element("span", { role, className: "mha-cache-size" }, bytes),
    );
  }

  /** The memory there is, as a line through the bars, or in words where all of them end before it. */
  function limitLine(limit, largest) {
    const inside = limit <= largest;
    const words = `memory ${model.get("budget")} GiB`;
    const line = element("div", { className: "mha-cache-limit" }, element("span", {}, inside ? words : `${words} →`));
    line.style.left = `${inside ? (100 * limit) / largest : 100}%`;
    if (!inside) line.style.borderLeftStyle = "none";
    return element("div", { className: "mha-cache-line" }, element("div", {}, line));
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  which.onchange = () => {
    const next = model.get("_presets").find(({ name }) => name === which.value);
    change({ model: next.name, context: next.context, num_kv_heads: next.num_kv_heads });
  };
  width.onchange = () => change({ bytes_per_number: Number(width.value) });
  budget.onchange = () => change({ budget: Number(budget.value) });
  context.oninput = () => change({ context: steps.context[context.value] });
  batch.oninput = () => change({ batch: steps.batch[batch.value] });
  heads.oninput = () => change({ num_kv_heads: divisors(chosen().num_heads)[heads.value] });
  bandwidth.oninput = () => change({ bandwidth: Number((10 ** bandwidth.value).toPrecision(2)) });
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys

  const ends = [watch(model, ["model", "context", "batch", "num_kv_heads", "bytes_per_number", "budget", "bandwidth"], schedule)];
  schedule();

  return () => {
    schedule.cancel();
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { render };
