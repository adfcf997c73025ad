// The timings panel: what every head count takes, explicit and fused, measured beside predicted; and the button that measures.
//
// The kernel measures and tells of it in traits. Everything else, the line at the present head count too, happens here.

import { ceil, divisors, element, grouped, max, min, round, sqrt, watch } from "../shared/common.js";

const TOKENS = [16, 128, 512];
const PATHS = ["explicit", "fused"];
const MARKS = ["m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "m-5 0l5 -5l5 5l-5 5z"]; // ● and ◆
const [WIDTH, HEIGHT, LEFT, TOP, FLOOR] = [560, 250, 46, 18, 212]; // of the chart

/** Seconds as milliseconds, in three digits. */
export function inMs(seconds) {
  const ms = seconds * 1000;
  return ms < 999.5 ? ms.toPrecision(3) : grouped(round(ms));
}

const rowOf = (result, heads, path) => result.rows.find((row) => row.heads === heads && row.path === path);

/** What one head count takes, in words; brief leaves quartiles and prediction out. */
export function sentence(result, heads, brief = false) {
  const parts = PATHS.map((path) => {
    const row = rowOf(result, heads, path);
    if (!row) return `${path} left out`;
    if (row.median === null) return `${path} not measured` + (brief ? "" : ` (predicted ${inMs(row.predicted)} ms)`);
    const spread = ` (${inMs(row.q1)}–${inMs(row.q3)}; predicted ${inMs(row.predicted)})`;
    return `${path} ${inMs(row.median)} ms${brief ? "" : spread}`;
  });
  return `${heads} ${heads === 1 ? "head" : "heads"}, ${result.tokens} tokens: ${parts.join(", ")}`;
}

/** A function from low … high to from … to, logarithmic. */
export const logScale = (low, high, from, to) => (value) =>
  from + ((to - from) * Math.log(value / low)) / (Math.log(high / low) || 1);

/** Round numbers from low to high: 1, 2, 5, 10 …, or powers of ten alone where these are many. */
export function ticks(low, high) {
  const powers = Array.from({ length: 12 }, (_, i) => +`1e${i - 5}`);
  const within = (value) => low <= value && value <= high;
  const fine = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(within);
  return fine.length > 7 ? powers.filter(within) : fine;
}

/** Lowest and highest number of milliseconds on the axis: a decade at least, so that a flat curve looks flat. */
export function bounds(rows) {
  const all = rows.flatMap(({ predicted, median, q1, q3 }) => [predicted, median, q1, q3]).filter((value) => value > 0);
  const [low, high] = [min(...all) * 900, max(...all) * 1100];
  const more = max(1, sqrt(10 / (high / low)));
  return [low / more, high * more];
}

function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Time against heads, both axes logarithmic, with a line at the present head count. */
function chart(result, heads, counts) {
  const [low, high] = bounds(result.rows);
  const across = logScale(1, counts.at(-1), LEFT + 10, WIDTH - 20);
  const up = logScale(low, high, FLOOR, TOP);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": sentence(result, heads) });
  const write = (x, y, words, name = "") => svg.append(shape("text", { x, y, class: name }, words));
  const line = (d, name) => svg.append(shape("path", { d, class: `mha-timings-${name}` }));
  const marks = ticks(low, high);
  line(marks.map((ms) => `M${LEFT} ${up(ms)}H${WIDTH - 8}`).join(""), "grid");
  marks.forEach((ms) => write(LEFT - 20, up(ms) + 4, `${ms}`));
  let free = 0; // where the next number has room
  for (const count of counts) {
    if (across(count) < free) continue;
    write(across(count), FLOOR + 16, `${count}`);
    free = across(count) + 26;
  }
  write(WIDTH / 2, HEIGHT - 4, "heads");
  write(LEFT - 20, 12, "ms");
  line(`M${across(heads)} ${TOP}V${FLOOR}`, "here");
  PATHS.forEach((path, i) => {
    const rows = result.rows.filter((row) => row.path === path);
    const measured = rows.filter((row) => row.median !== null);
    const at = (row, name) => `${across(row.heads)} ${up(row[name] * 1000)}`;
    const through = (list, name) => list.length && line("M" + list.map((row) => at(row, name)).join("L"), `${name} mha-timings-${path}`);
    const each = (draw, name) => line(measured.map(draw).join(""), `${name} mha-timings-${path}`);
    through(rows, "predicted");
    through(measured, "median");
    each((row) => `M${at(row, "q1")}L${at(row, "q3")}`, "quartiles");
    each((row) => `M${at(row, "median")}${MARKS[i]}`, "marks");
    write(LEFT + 12, TOP + 12 + 17 * i, `${"●◆"[i]} ${path}`, `mha-timings-name mha-timings-${path}`);
  });
  return svg;
}

const NEEDS_PYTHON = "Measuring needs Python: open this page in Jupyter with a kernel.";
const STALLED =
  "No word from the kernel: it is busy, was restarted, or is not running. What is measured stays. After a restart, run this cell again.";

/** The panel for a model with d_model and num_heads: { node, show, dispose }. */
export function timingsPanel({ model, change }) {
  const counts = divisors(model.get("d_model"));
  const brief = element("span");
  const choices = TOKENS.map((n) => element("input", { type: "radio", name: "tokens", value: n }));
  const [start, stop] = ["Measure", "Cancel"].map((words) => element("button", { type: "button" }, words));
  const bar = element("progress", { max: 1, ariaLabel: "how much is measured" });
  const left = element("small");
  const form = element(
    "form",
    { className: "mha-timings-line" },
    ...choices.map((choice, i) => element("label", {}, choice, `${TOKENS[i]}${i === 2 ? " tokens" : ""}`)),
    start,
    bar,
    left,
    stop,
  );
  const message = element("p", { role: "status" });
  const picture = element("div");
  const words = element("p", { className: "mha-timings-sentence" });
  const note = element("p", { className: "mha-timings-note" });
  const node = element(
    "details",
    { className: "mha-timings" },
    element("summary", {}, element("b", {}, "Timings"), brief),
    element("div", {}, picture, element("div", {}, form, message, words, note)),
  );

  const present = () => model.get("timings").find(({ tokens }) => tokens === model.get("timing_tokens"));

  // The kernel may be busy or gone: `asked` until it answers, `stalled` when it has not told of progress for long.
  let [asked, stalled, timer] = [false, false, 0];
  const canAsk = Boolean(model.send);
  const wait = () => {
    clearTimeout(timer);
    const longest = max(0, ...(present()?.rows ?? []).map((row) => row.predicted));
    timer = setTimeout(() => ((stalled = true), show()), 1000 * (model.get("_patience") + 8 * longest));
  };
  const ask = (kind) => {
    asked ||= kind === "measure";
    stalled = false;
    wait();
    try {
      change.send({ kind });
    } catch {
      stalled = true;
    }
    show();
  };
  const heard = () => {
    asked = stalled = false;
    clearTimeout(timer);
    if (model.get("measuring")) wait();
    show();
  };

  function show() {
    const [heads, n] = [model.get("num_heads"), model.get("timing_tokens")];
    const result = present();
    brief.textContent = result ? sentence(result, heads, true) : "";
    if (!node.open) return;
    const running = canAsk && model.get("measuring") && !stalled;
    const busy = running || (asked && !stalled);
    choices.forEach((choice) => Object.assign(choice, { checked: +choice.value === n, disabled: busy }));
    start.ariaDisabled = String(busy || !canAsk); // it keeps the keyboard's focus, as disabled would not
    if (!running && document.activeElement === stop) start.focus();
    bar.hidden = left.hidden = stop.hidden = !running;
    bar.value = model.get("progress");
    const seconds = ceil(model.get("seconds_left"));
    left.textContent = seconds ? `about ${seconds} s left` : "";
    let said = asked ? "Waiting for the kernel …" : model.get("timing_message");
    if (stalled || !canAsk) said = canAsk ? STALLED : NEEDS_PYTHON;
    if (message.textContent !== said) message.textContent = said;
    const none = `Not measured yet for d_model ${model.get("d_model")} at ${n} tokens: press Measure.`;
    words.textContent = result ? `${sentence(result, heads)}.` : none;
    note.textContent = result?.note ?? "";
    picture.replaceChildren(...(result ? [chart(result, heads, counts)] : []));
  }

  function fold() {
    node.open = model.get("timings_open");
    show();
  }

  form.onsubmit = (event) => event.preventDefault(); // a form, because it keeps the radio buttons of two panels apart
  start.onclick = () => start.ariaDisabled === "true" || ask("measure");
  stop.onclick = () => ask("cancel");
  choices.forEach((choice) => (choice.onchange = () => change({ timing_tokens: +choice.value })));
  node.ontoggle = () => node.open !== model.get("timings_open") && change({ timings_open: node.open });
  const ends = [
    watch(model, ["timings", "measuring", "progress", "seconds_left", "timing_message"], heard),
    watch(model, ["timing_tokens"], show),
    watch(model, ["timings_open"], fold),
    () => clearTimeout(timer),
  ];
  heard();
  fold();
  return { node, show, dispose: () => ends.forEach((end) => end()) };
}
