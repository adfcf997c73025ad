// KVCacheExplorer: the bytes that a decoder keeps for every token, beside the memory and the bandwidth there is.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { changer, countDrawing, divisors, element, grouped, scheduler, watch } from "./_shared.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/** Tokens that a layer keeps of a text: all of them, or a sliding window. */
export const keptTokens = (context, window) => (window > 0 ? Math.min(context, window) : context);

/** Numbers that one token leaves in one layer: a key and a value for each head, or one latent for all. */
export const numbersKept = ({ d_head, latent }, heads) => (latent > 0 && heads === null ? latent : 2 * heads * d_head);

/** Bytes of the cache of `batch` texts. heads = null stands for the latent. */
export function cacheBytes(model, { heads, context, batch, width }) {
  return batch * keptTokens(context, model.window) * model.layers * numbersKept(model, heads) * width;
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

  const which = choice(model.get("_presets").map(({ name }) => [name, name]));
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
    element("div", { "aria-live": "polite" }, total, formula, speed),
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
    const token = cacheBytes(sizes, { ...now, context: 1, batch: 1 });
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

  function showNumbers({ sizes, heads: g, context: n, batch: b, width: w, bytes, token, rate }) {
    const many = b === 1 ? "" : ` × ${grouped(b)} texts`;
    const kept = keptTokens(n, sizes.window);
    total.textContent = `${size(bytes)} of ${g === null ? "latents" : "keys and values"}`;
    const numbers = g === null ? `${sizes.latent} numbers` : `2 × ${g} heads × ${sizes.d_head} numbers`;
    formula.textContent =
      `${sizes.layers} layers × ${numbers} × ${w} bytes = ${size(token)} a token, ` +
      `× ${grouped(kept)} tokens${many}`;
    speed.textContent =
      `at most ${perSecond(rate)} tokens a second${b === 1 ? "" : " for each text"}: ` +
      `${grouped(model.get("bandwidth"))} GB/s, and every step reads the whole cache`;
    const remarks = [];
    if (n > sizes.context) remarks.push(`Published for ${grouped(sizes.context)} tokens: this is beyond.`);
    if (kept < n) remarks.push(`A sliding window: each layer keeps the last ${grouped(kept)} tokens.`);
    if (g !== null && g !== sizes.num_kv_heads) remarks.push(`The published model has ${sizes.num_kv_heads}.`);
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
