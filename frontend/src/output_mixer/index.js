// OutputMixer: Concat · W^O as the sum of what every head adds; heads are switched on and off.
//
// All state lives in the model's traits, and draw() reads them afresh. The arithmetic is done here, without the kernel.

import { changer, countDrawing, decoded, element, scheduler, shownWords, stepped, watch } from "../shared/common.js";
import { quoted } from "../shared/words.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/**
 * One token's output: { brings, shares, sum, full, missing }. heads holds H·n·K numbers, wO H·K·D; brings[h] are the K
 * numbers of head h, shares[h] = brings[h] · W^O's rows of head h, sum adds the active heads and full all of them;
 * missing = |full − sum| / |full|.
 */
export function mix({ heads, wO, n, H, D, row, active }) {
  const K = heads.length / (H * n);
  const brings = Array.from({ length: H }, (_, h) => Array.from(heads.subarray((h * n + row) * K, (h * n + row + 1) * K)));
  const shares = brings.map((numbers, h) =>
    Array.from({ length: D }, (_, d) => numbers.reduce((sum, x, k) => sum + x * wO[(h * K + k) * D + d], 0)),
  );
  const add = (rows) => rows.reduce((total, share) => total.map((t, d) => t + share[d]), Array(D).fill(0));
  const [sum, full] = [add(shares.filter((_, h) => active.includes(h))), add(shares)];
  const size = Math.hypot(...full);
  const missing = size > 0 ? Math.hypot(...full.map((f, d) => f - sum[d])) / size : 0;
  return { brings, shares, sum, full, missing };
}

/** The feature to which the heads add most, whatever its sign: there switching is seen best. */
export function busiest(shares) {
  const traffic = shares[0].map((_, d) => shares.reduce((total, share) => total + Math.abs(share[d]), 0));
  return traffic.indexOf(Math.max(...traffic));
}

/** A number in few characters, with a true minus sign; 0 for what would be shown as 0.00. */
export function short(value) {
  if (Math.abs(value) < 5e-3) return "0";
  return String(Number(value.toFixed(2))).replace("-", "−");
}

/** One feature's sum in words: "room: head 0 −9 + head 1 5 = −4". Heads that add nothing are left out. */
export function explain({ feature, name, word, shares, sum, active }) {
  const terms = active.map((h) => [h, short(shares[h][feature])]).filter(([, text]) => text !== "0");
  const place = (/^\d+$/.test(name) ? "feature " : "") + `${quoted(name)} at ${quoted(word)}: `;
  if (!active.length) return `${place}no head is on, and a sum of nothing is 0`;
  if (!terms.length) return `${place}${active.length === 1 ? "this head adds" : "these heads add"} nothing here`;
  if (terms.length > 6) return `${place}a sum of ${terms.length} terms = ${short(sum[feature])}`;
  const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);
  const list = terms.map(([h, text], i) => `${i ? bracket(text) : text} from head ${h}`).join(" + ");
  return `${place}${list} = ${short(sum[feature])}`;
}

// ----------------------------------------------------------------------------------------------------------------- page

const NUMBERS = { ariaLabel: "what each head adds: arrow keys choose a feature", "data-lm-suppress-shortcuts": "true" };
const PAUSE = 1100; // ms between two heads when they are added one by one
const MOST_NUMBERS = 12; // features whose numbers are written into the cells; more are tints, and numbers on pointing
const STRONGEST = 50; // percent of colour in the cell with the largest number: words on it stay legible

function render({ model, el }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const button = (text, action) => element("button", { type: "button", onclick: action }, text);

  // ------------------------------------------------------------------------------------------------------------ elements
  const H = model.get("num_heads");
  const features = model.get("features");
  const D = features.length;
  const words = shownWords(model.get("tokens"));
  const heads = decoded(model.get("_heads"), Float32Array);
  const wO = decoded(model.get("_w_o"), Float32Array);

  const chooser = element("span", { className: "mha-chooser", role: "radiogroup" });
  chooser.setAttribute("aria-label", "the word whose output is shown");
  chooser.append(
    ...words.map((word, position) => {
      const choice = button(word, () => change({ position, hovered: -1 }));
      choice.setAttribute("role", "radio");
      choice.title = word;
      return choice;
    }),
  );
  const all = button("all", () => stopAnd({ active: everyHead() }));
  const none = button("none", () => stopAnd({ active: [] }));
  const grow = button("", () => (growing ? stop() : start()));
  const status = element("span", { className: "mha-mix-status", "aria-live": "polite" });
  const explanation = element("p", { className: "mha-mix-explanation", "aria-live": "polite" });

  const switches = Array.from({ length: H }, (_, h) => {
    const toggle = button("", () => stopAnd({ active: toggled(h) }));
    toggle.className = "mha-mix-switch";
    toggle.append(element("i"), `head ${h}`);
    return toggle;
  });
  const numbers = (className) => Array.from({ length: D }, () => element("td", { className }));
  const brings = Array.from({ length: H }, () => element("td", { className: "mha-mix-brings" }));
  const shares = Array.from({ length: H }, () => numbers("mha-mix-cell"));
  const [sum, full] = [numbers("mha-mix-cell mha-mix-sum"), numbers("mha-mix-cell mha-mix-full")];
  const titles = features.map((name) => element("th", { scope: "col", title: name }, element("span", {}, name)));
  const headRows = shares.map((cells, h) =>
    element("tr", {}, element("th", { scope: "row" }, switches[h]), brings[h], ...cells),
  );
  const sumName = element("th", { scope: "row", colSpan: 2, className: "mha-mix-name" });
  const fullName = element("th", { scope: "row", colSpan: 2, className: "mha-mix-name mha-mix-full" }, "all heads");
  const table = element(
    "table",
    { className: D > MOST_NUMBERS ? "mha-mix-tints" : "" },
    element("thead", {}, element("tr", {}, element("td"), element("th", { scope: "col" }, "brings"), ...titles)),
    element("tbody", {}, ...headRows),
    element("tfoot", {}, element("tr", {}, sumName, ...sum), element("tr", {}, fullName, ...full)),
  );
  const frame = element("div", { ...NUMBERS, className: "mha-mix-frame", tabIndex: 0, role: "group" }, table);
  const pair = (...parts) => element("span", { className: "mha-mix-pair" }, ...parts);
  const root = element(
    "div",
    { className: "mha mha-mix", "data-lm-suppress-shortcuts": "true" },
    element("div", { className: "mha-mix-line" }, pair("Output at", chooser)),
    element("div", { className: "mha-mix-line" }, pair("Heads", all, none, grow), status),
    explanation,
    frame,
  );
  root.style.setProperty("--mha-features", D);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const change = changer(model);
  const everyHead = () => switches.map((_, h) => h);
  const toggled = (h) => {
    const active = model.get("active");
    return active.includes(h) ? active.filter((other) => other !== h) : [...active, h].sort((a, b) => a - b);
  };

  function present() {
    const [row, active] = [model.get("position"), model.get("active")];
    const now = mix({ heads, wO, n: words.length, H, D, row, active });
    const hovered = model.get("hovered");
    return { ...now, row, active, feature: hovered >= 0 && hovered < D ? hovered : busiest(now.shares) };
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);

  function draw() {
    const now = present();
    const reach = Math.max(...now.shares.flat().map(Math.abs)) || 1;
    [...chooser.children].forEach((choice, i) => {
      choice.setAttribute("aria-checked", String(i === now.row));
      choice.tabIndex = i === now.row ? 0 : -1;
    });
    switches.forEach((toggle, h) => {
      const on = now.active.includes(h);
      toggle.setAttribute("aria-pressed", String(on));
      toggle.title = on ? "switch off" : "switch on";
      headRows[h].classList.toggle("mha-mix-off", !on);
      const shown = now.brings[h].slice(0, 4).map((number) => element("b", {}, short(number)));
      brings[h].replaceChildren(element("span", {}, ...shown, ...(now.brings[h].length > 4 ? ["…"] : [])));
      brings[h].title = now.brings[h].map(short).join("  ");
      fill(shares[h], now.shares[h], reach, on);
    });
    fill(sum, now.sum, reach);
    fill(full, now.full, reach);
    sumName.textContent = now.active.length === 1 ? "sum of 1 head" : `sum of ${now.active.length} heads`;
    grow.textContent = growing ? "stop" : "add one by one";
    all.ariaDisabled = String(now.active.length === H); // and not disabled: that would lose the focus
    none.ariaDisabled = String(now.active.length === 0);
    const state =
      now.active.length === H ? "the sum is the output" : `${Math.round(100 * now.missing)}% of the output is missing`;
    status.textContent = `${now.active.length} of ${H} on: ${state}`;
    explanation.textContent = explain({ ...now, name: features[now.feature], word: words[now.row] });
    titles.forEach((title, d) => title.classList.toggle("mha-mix-pointed", d === now.feature));
    [...shares, sum, full].forEach((cells) =>
      cells.forEach((cell, d) => cell.classList.toggle("mha-mix-pointed", d === now.feature)),
    );
    countDrawing(root);
  }

  /** Numbers on tints; of a head that is off the numbers in outline, or where tints stand alone, these hatched. */
  function fill(cells, values, reach, on = true) {
    cells.forEach((cell, d) => {
      const text = short(values[d]);
      const strength = (D > MOST_NUMBERS ? 100 : STRONGEST) * Math.min(1, Math.abs(values[d]) / reach);
      const tint = `color-mix(in srgb, var(--mha-${values[d] < 0 ? "below" : "above"}) ${strength}%, transparent)`;
      const hatching = D > MOST_NUMBERS ? `repeating-linear-gradient(-45deg, ${tint} 0 3px, transparent 3px 6px)` : "none";
      cell.style.backgroundImage = on ? `linear-gradient(${tint}, ${tint})` : hatching;
      cell.textContent = D > MOST_NUMBERS ? "" : text;
      cell.title = `${quoted(features[d])} ${text}`;
    });
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  let growing = 0;

  function addNext() {
    const active = model.get("active");
    const next = everyHead().find((h) => !active.includes(h));
    if (next !== undefined) change({ active: toggled(next) });
  }

  function start() {
    if (calm.matches && model.get("active").length < H) return addNext(); // who wants no motion adds each head by a press
    change({ active: [] });
    if (calm.matches) return;
    growing = setInterval(() => {
      addNext();
      if (model.get("active").length === H) stop();
    }, PAUSE);
    schedule();
  }

  function stop() {
    clearInterval(growing);
    growing = 0;
    schedule();
  }

  function stopAnd(traits) {
    stop();
    change(traits);
  }

  chooser.onkeydown = (event) => {
    const position = stepped(event, model.get("position"), chooser.childElementCount);
    if (position === null) return;
    event.preventDefault();
    change({ position, hovered: -1 });
    chooser.children[position].focus();
  };
  const columns = [titles, ...shares, sum, full];
  columns.forEach((cells) => cells.forEach((cell, d) => (cell.onpointerenter = () => change({ hovered: d }))));
  table.onpointerleave = () => change({ hovered: -1 });
  frame.onkeydown = (event) => {
    const next = event.key === "Escape" ? -1 : stepped(event, present().feature, D);
    if (event.target !== frame || next === null) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would move on with the arrow keys
    change({ hovered: next });
  };

  const ends = [watch(model, ["position", "active", "hovered"], schedule)];
  schedule();

  return () => {
    schedule.cancel();
    clearInterval(growing);
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { render };
