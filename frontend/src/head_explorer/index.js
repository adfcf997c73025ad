// HeadExplorer: the attention maps of all heads as small multiples, and any head enlarged beside another.
//
// All state lives in the model's traits, and draw() reads them afresh: it does not matter whether a learner, a test or Python
// set them. Head counts, layers, masks and colours are computed here, so that they answer without the kernel.

import { abs, ceil, changer, countDrawing, decoded, divisors, element, floor, grouped, max, min, round, scheduler, shownWords, sqrt, stepped, watch } from "../shared/common.js";
import { allowedCells, colourTable, headRows, largestOf, parameterCount, renormalised, shades, togglePin, weightsOf } from "./maths.js";
import { arrange, DIAGONAL_CELL, NUMBER_CELL, placeAt } from "./layout.js";
import { timingsPanel } from "./timings.js";

const NO_ANSWER =
  "The kernel has not answered yet: it is busy or not running. Your sentence stays; its maps will come.";
const LOADING = "The first sentence loads the model: seconds …";
const ANSWER_WITHIN = 5000; // ms
const STAGE =
  "Heads: arrow keys choose one, Enter enlarges it, Shift and arrows read cells, Escape clears.";
const SLICE = 4; // ms of a frame for computing maps, and as much for painting them; large ones fill up over several frames
const WHOLE = 64 ** 2; // cells of a map; the exact weights of a layer of larger ones are asked for row by row
const MOST_WRITTEN = 128; // words; the cells of more are too small for any
const ROOM = 2 ** 25; // cells of all maps that are kept: 128 MiB
const DEFLATED = 256 ** 2; // cells; a recording of larger maps comes deflated

/** Rules between traits that hold for every view, with or without a kernel: what the new state does not have is dropped. */
function initialize({ model }) {
  const dropMissing = () => {
    const heads = model.get("num_heads");
    model.set(
      "pinned",
      model.get("pinned").filter((head) => head < heads),
    );
    model.set("head", min(model.get("head"), heads - 1));
    model.set("hovered", []);
  };
  return watch(model, ["num_heads", "sentence"], dropMissing);
}

function render({ model, el }) {
  let ahead = {}; // a state that a slider can reach with one step, while idle time is used to draw it
  const get = (trait) => ahead[trait] ?? model.get(trait);
  const recorded = get("source") === "recorded";
  const colours = colourTable(get("_colours"));
  const diverging = colourTable(get("_differences"));

  // ------------------------------------------------------------------------------------------------------------ elements
  const sentenceMenu = element("select");
  const [trait, steps] = recorded ? ["layer", [...Array(get("num_layers")).keys()]] : ["num_heads", divisors(get("d_model"))];
  const dial = slider(steps.length);
  const causal = element("input", { type: "checkbox" });
  const near = element("input", { type: "number", min: 0, max: get("tokens").length, placeholder: "none" });
  const stretch = element("input", { type: "checkbox" });
  const barEnd = element("span");
  const bar = named("bar", "span");
  bar.style.background = "linear-gradient(to right," + get("_colours").map(([at, hex]) => `${hex} ${at / 2.55}%`) + ")";
  const maskKey = named("masked", "span", {}, element("i"), "masked");

  const input = element("input", { type: "text", spellcheck: false, placeholder: "or type your own", ariaLabel: "your own sentence" });
  const message = named("message", "p", { role: "status" });
  const form = named(
    "form",
    "form",
    {},
    input,
    element("button", {}, "Show its heads"),
  );

  const fact = (name) => element("div", {}, element("span", {}, name), element("b"), element("small"));
  const facts = named("facts", "div", {}, ...["heads H", "d_head", "parameters", "stored scores"].map(fact));
  const chips = named("chips", "div", { role: "toolbar", ariaLabel: "hide words" });
  const hiding = named("hiding", "p", { role: "status" });
  const readout = named("readout", "p", { ariaLive: "polite" });
  const maps = element("canvas", { ariaHidden: "true" });
  const marks = element("canvas", { ariaHidden: "true" });
  const stage = named("stage", "div", { tabIndex: 0, role: "listbox", ariaMultiSelectable: "true", ariaLabel: STAGE }, maps, marks);
  const pooled = element("span");
  const legend = named(
    "legend",
    "p",
    {},
    "each ",
    named("query", "span", {}, "row"),
    " is a word that looks (query), each ",
    named("key", "span", {}, "column"),
    " a word it looks at (key); a row's weights sum to 1",
    pooled,
  );
  const table = named("table", "details", {}, element("summary", {}, "As a table"));

  const scale = named(
    "scale",
    "span",
    {},
    maskKey,
    "weight 0",
    bar,
    barEnd,
    field(stretch, "stretch"),
  );
  const line = (...parts) => named("line", "div", {}, ...parts);
  const root = element("div", { className: "mha mha-heads", "data-lm-suppress-shortcuts": "true" });
  const change = changer(model);
  const timings = recorded ? null : timingsPanel({ model, change });
  const controls = recorded
    ? [line(field("Sentence", sentenceMenu), form), message, line(...(steps[1] ? [field("Layer", dial, dial.text)] : []), scale)]
    : [line(field("Heads", dial, dial.text), field(causal, "causal mask"), field("Window", near), scale), facts, timings.node];
  root.append(...controls, line("Hide", chips), hiding, readout, stage, legend, table);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const recordings = () => [...get("_recordings"), ...get("_added")];
  /** What is to be shown: the present recording, or the projection's tokens and mask. Without a context, its tokens look at themselves. */
  function chosen() {
    if (!recorded) return { tokens: get("tokens"), mask: get("_mask") };
    return recordings().find((r) => r.sentence === get("sentence")) ?? recordings()[0];
  }

  const inflated = new Map(); // the bytes of each long recording that was on show; null while they are inflated

  /** Whether what is to be shown is still being inflated; begins with it. */
  function inflating() {
    const { tokens, context, weights } = chosen();
    const waits = recorded && tokens.length * (context ?? tokens).length > DEFLATED && !inflated.get(weights);
    if (waits && !inflated.has(weights)) inflate(weights);
    return waits;
  }

  async function inflate(view) {
    inflated.set(view, null);
    try {
      const stream = new Response(view).body.pipeThrough(new DecompressionStream("deflate"));
      inflated.set(view, new Uint8Array(await new Response(stream).arrayBuffer()));
      draw();
    } catch (problem) {
      say(`${problem}`);
    }
  }

  // Exact weights of a recording, which is sent with 8 bits a weight: { id: [sentence, layer, first row, last row], weights }.
  let exact = { id: [] };
  let [asked, resting] = [false, 0];

  /** The maps of all tokens, computed when a trait that moves them has changed: n words look at s keys. */
  const whole = kept(() => {
    const heads = get("num_heads");
    const source = chosen();
    const words = shownWords(source.tokens);
    const keys = source.context ? shownWords(source.context) : words;
    const [n, s] = [words.length, keys.length];
    const whole = n * s <= WHOLE;
    const mask = decoded(source.mask, Uint8Array);
    const allowed = allowedCells(s, mask, get("causal"), get("window"));
    const [query, key] = ["_query", "_key"].map((name) => decoded(get(name), Float32Array));
    const told = !recorded || (isExact() && whole);
    const size = heads * n * s;
    const width = get("d_model");
    let numbers = recorded ? exact.weights : new Float32Array(size);
    const rest = recorded ? null : headRows(numbers, query, key, n, width, heads, allowed);
    const from = get("layer") * size;
    if (!told) numbers = (inflated.get(source.weights) ?? decoded(source.weights, Uint8Array)).subarray(from, from + size);
    return { heads, words, keys, n, s, own: words === keys, whole, allowed, numbers, told, rest, rows: rest ? 0 : Infinity };
  });

  /** A drawing: the maps without the tokens that are hidden; its rows and columns stand at the places `asking` and `seen`. */
  const sheet = kept(() => {
    const all = whole(...moving());
    const hidden = get("hidden");
    const [rows, columns] = [all.words, all.keys].map((words) => [...words.keys()]);
    const seen = columns.filter((j) => !hidden.includes(all.keys[j]));
    const now = { ...all, all, asking: rows, seen: columns, canvas: element("canvas") };
    const s = seen.length;
    if (s && s < all.s) {
      const asking = all.own ? seen : rows;
      const n = asking.length;
      const allowed = all.allowed && Uint8Array.from(asking.flatMap((i) => seen.map((j) => all.allowed[i * all.s + j])));
      const numbers = new Float32Array(all.heads * n * s);
      const [words, keys] = [asking.map((i) => all.words[i]), seen.map((j) => all.keys[j])];
      Object.assign(now, { asking, seen, n, s, words, keys, allowed, numbers, held: [] });
    }
    const ctx = now.canvas.getContext("2d");
    pen(ctx, "12px");
    const written = [...new Set([...now.words, ...now.keys])].slice(0, MOST_WRITTEN);
    const wide = written.map((word) => ctx.measureText(word).width);
    const wordRoom = min(84, max(...wide));
    now.layout = arrange({ ...now, width, pinned: get("pinned"), wordRoom, unit: 1 / ratio });
    return now;
  });

  /** Computes until then: rows of a projection's maps; and where words are hidden, the heads without them. */
  function advance({ all, asking, seen, n, s, numbers, held }, end) {
    for (; all.rest && performance.now() < end; all.rows++) if (all.rest.next().done) all.rest = null;
    while (held?.length < min(all.heads, floor(all.rows / all.n)) && performance.now() < end) {
      const left = renormalised(partOf(all, held.length), all.s, seen, asking);
      numbers.set(left.map, held.length * n * s);
      held.push(left.held);
    }
  }

  /** Whether more is to come. */
  const growing = ({ layout }) => layout.places.some(({ done }) => !done);

  const moving = () => [
    ..."sentence layer num_heads causal window".split(" ").map(get),
    recorded && [recordings().length, isExact()],
  ];
  const isExact = () => exact.id[0] === get("sentence") && exact.id[1] === get("layer");

  /** Weights on show from `from` on, made of the bytes of a recording where that is what there is. */
  function weights({ numbers }, from, count) {
    const part = numbers.subarray(from, from + count);
    return part.BYTES_PER_ELEMENT > 1 ? part : weightsOf(part);
  }
  const partOf = (now, head) => weights(now, head * now.n * now.s, now.n * now.s);

  /** The weights of a place's map, or the difference that it shows. */
  function mapOf({ head, less }, now) {
    const map = partOf(now, head);
    if (less === undefined) return map;
    const other = partOf(now, less);
    return map.map((weight, i) => weight - other[i]);
  }

  /** Whether exact weights change more than the readout: what must have them or, with `text`, the numbers in cells too. */
  const refines = ({ all, held, layout }, text) =>
    all.whole && (held || table.open || get("pinned").length || (text && layout.places[0].cell >= NUMBER_CELL));

  /** A row of weights on show, and whether these are the exact ones. */
  function rowOf(now, head, query) {
    const { n, s, told, all, asking, seen } = now;
    const [, , first, end] = exact.id;
    if (!told && isExact() && first <= asking[query] && asking[query] < end) {
      const at = (head * (end - first) + asking[query] - first) * all.s;
      const row = exact.weights.subarray(at, at + all.s);
      return [s === all.s ? row : renormalised(row, all.s, seen, [0]).map, true];
    }
    return [weights(now, (head * n + query) * s, s), told];
  }

  /** Asks the kernel, if there is one, for the exact weights of a small layer or of one row, where the pointer rests. One
   *  question at a time. */
  function askExact({ all, asking, told }, query) {
    const rows = all.whole ? [0, all.n] : [asking[query], asking[query] + 1];
    const id = [get("sentence"), get("layer"), ...rows];
    clearTimeout(resting);
    if (told || asked || String(id) === String(exact.id)) return;
    resting = setTimeout(() => {
      try {
        model.send({ kind: "exact", id });
        asked = true;
      } catch {
        // Without a kernel the readout says that its numbers have 8 bits.
      }
    }, 100);
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  let present = null; // what is drawn
  let [width, ratio] = [0, 0]; // of the stage, in CSS pixels; and device pixels in each
  let ink = {};
  let focused = false;
  const schedule = scheduler(draw);
  const idle = window.requestIdleCallback ?? setTimeout; // Safari has none

  /** The drawing of the present state, or of the one ahead, after a slice more of work on it. */
  function drawing() {
    const now = sheet(width, ratio, ink, ...["stretch", "pinned", "hidden"].map(get), ...moving());
    const end = performance.now() + SLICE;
    if (growing(now)) {
      advance(now, end);
      drawMaps(now, end + SLICE);
    }
    return now;
  }

  function draw() {
    [width, ratio] = [stage.clientWidth, devicePixelRatio];
    if (!width || inflating()) return; // scrolled away: the observers call again
    ink = inks();
    const now = (present = drawing());
    const { places, height } = now.layout;
    if (recorded && refines(now)) askExact(now);
    const ctx = sized(maps, max(height, 560)); // as high as most: to enlarge a canvas costs as much as to draw all maps
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(now.canvas, 0, 0);
    showControls(now);
    stage.style.height = `${height}px`;
    stage.places = places; // where a script on the page, or a test, finds the maps
    const { pool } = places.at(-1);
    pooled.textContent = pool > 1 ? `; a pixel shows the largest of ${pool} × ${pool} weights` : "";
    stage.setAttribute("aria-activedescendant", names + get("head"));
    if (!options.length) listHeads();
    drawMarks(now);
    showTable(now);
    countDrawing(root);
    growing(now) ? schedule() : idle(prepare);
  }

  /** What can wait until the change is on the screen: the list of heads, and to draw what a slider's next step leads to. */
  function prepare() {
    if (!stage.clientWidth || schedule.pending) return; // nobody sees it, or a drawing is to come
    if (stage.clientWidth !== width || JSON.stringify(inks()) !== JSON.stringify(ink)) return schedule(); // a theme came in pieces
    listHeads();
    if (marks.hidden) sized(marks, present.layout.height); // the first pointer does not wait for a canvas to be made
    const at = steps.indexOf(get(trait));
    for (const next of [steps[at - 1], steps[at + 1]]) {
      const { heads, n, s } = present.all;
      if (!(next >= 0) || 3 * n * s * (recorded ? heads : next) > ROOM) continue; // beyond the ends, or it would not be kept
      ahead = { [trait]: next, pinned: get("pinned").filter((head) => recorded || head < next) };
      const now = drawing();
      ahead = {};
      if (growing(now)) return idle(prepare);
    }
  }

  function inks() {
    const style = getComputedStyle(root);
    const wanted = "ink muted page line brand query key".split(" ");
    const values = wanted.map((name) => [name, style.getPropertyValue(`--mha-${name}`).trim()]);
    return { family: style.fontFamily, ...Object.fromEntries(values) };
  }

  /** The canvas's context, cleared, in CSS pixels, on as many device pixels as the screen has. */
  function sized(canvas, height, across = width) {
    const [w, h] = [round(across * ratio), round(height * ratio)];
    // Never lower: the stage hides what is too much, and a new size costs as much as all maps.
    if (canvas.width !== w || canvas.height < h) {
      Object.assign(canvas, { width: w, height: h });
      Object.assign(canvas.style, { width: `${across}px`, height: `${height}px` });
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, w, canvas.height);
    return ctx;
  }

  function drawMaps(now, end) {
    const { all, held, layout, n, s, allowed } = now;
    const ready = held ? held.length * n : all.rows; // rows, in all heads
    const ctx = sized(now.canvas, layout.height);
    for (const size of [false, true]) {
      const places = layout.places.filter(({ large }) => large === size);
      const [first] = places; // it keeps what all maps of this size share
      if (!first) continue;
      // One pixel a cell, or more cells a pixel, of all maps side by side: those on the page are its enlargements.
      const { pool, wide, high } = first;
      const [rows, columns] = [n, s].map((cells) => ceil(cells / pool));
      const last = places.length;
      const across = ceil(sqrt(last + 1));
      const part = (i) => [first.atlas, (i % across) * columns, floor(i / across) * rows, columns, rows];
      const put = (colours, i) =>
        first.atlas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(colours.buffer), columns), ...part(i).slice(1, 3));
      if (!first.atlas) {
        first.atlas = element("canvas", { width: across * columns, height: across * rows });
        first.holes = allowed && shades(allowed, s, pool, [255 << 24, 0], 0, 1); // where all cells of a pixel are masked
        if (allowed) put(first.holes, last);
        first.cover = paintCover(first, now, allowed && part(last));
      }
      places.forEach((place, i) => {
        const rows = ready - max(place.head, place.less ?? 0) * n;
        place.reach ??= 1;
        if (place.done || rows <= 0 || (i && performance.now() > end)) return;
        const map = mapOf(place, now);
        if (get("stretch")) place.reach = largestOf(map) || 1;
        put(painted(place, map, s, first.holes), i);
        place.done = rows >= n;
      });
      ctx.imageSmoothingEnabled = false;
      places.forEach((place, i) => {
        const { x, y, cell } = place;
        ctx.drawImage(...part(i), x, y, wide, high);
        ctx.drawImage(first.cover, x, y, wide, high);
        if (cell >= DIAGONAL_CELL && now.own) outlineDiagonal(ctx, place, now);
        if (cell >= NUMBER_CELL) writeNumbers(ctx, place, now);
        else if (place.less >= 0 && cell >= DIAGONAL_CELL) strikeNegative(ctx, place, now);
        writeWords(ctx, place, now);
        writeLabel(ctx, place);
      });
    }
    if (layout.empty) drawEmptySlot(ctx, layout.empty);
  }

  function pen(ctx, size, fillStyle, textAlign = "center", textBaseline = "alphabetic") {
    Object.assign(ctx, { font: `${size} ${ink.family}`, fillStyle, textAlign, textBaseline });
  }

  function drawEmptySlot(ctx, { x, y, wide, high }) {
    ctx.strokeStyle = ink.line;
    ctx.setLineDash([6, 6]);
    ctx.strokeRect(x, y, wide, high);
    ctx.setLineDash([]);
    pen(ctx, "14px", ink.muted);
    ctx.fillText("click another to compare", x + wide / 2, y + high / 2);
  }

  /** The pixels of a place's map. */
  function painted({ less, pool, reach }, map, s, holes) {
    const [table, zero] = less === undefined ? [colours, 0] : [diverging, 127.5];
    const found = shades(map, s, pool, new Uint32Array(table.buffer), zero, (255 - zero) / reach);
    holes?.forEach((hole, i) => hole && (found[i] = 0));
    return found;
  }

  /** What lies over every map of one size: hatching on masked cells, thin lines between large ones. */
  function paintCover({ wide, high, cell }, { n, s }, stencil) {
    const cover = element("canvas");
    const ctx = sized(cover, high, wide);
    if (stencil) {
      ctx.save();
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(...stencil, 0, 0, wide, high);
      ctx.globalCompositeOperation = "source-in"; // only where the stencil is
      ctx.strokeStyle = ink.line;
      ctx.lineWidth = cell >= 6 ? 1 : 0.5;
      const step = max(3, min(7, cell / 2));
      ctx.beginPath();
      for (let d = step / 2; d < wide + high; d += step) {
        ctx.moveTo(d, 0);
        ctx.lineTo(0, d);
      }
      ctx.stroke();
      ctx.restore();
    }
    if (cell >= 8) {
      ctx.fillStyle = ink.page;
      const thin = (cell >= 20 ? 2 : 1) / ratio;
      for (let i = 1; i < n; i++) ctx.fillRect(0, i * cell, wide, thin);
      for (let j = 1; j < s; j++) ctx.fillRect(j * cell, 0, thin, high);
    }
    return cover;
  }

  /** A thin line around the cells where a word looks at itself, lighter than the dark ones and darker than the light ones. */
  function outlineDiagonal(ctx, { x, y, cell }, { n }) {
    ctx.beginPath();
    for (let i = 0; i < n; i++) ctx.rect(x + i * cell + 1.5, y + i * cell + 1.5, cell - 2, cell - 2);
    ctx.save();
    ctx.globalCompositeOperation = "difference";
    ctx.lineWidth = cell < 20 ? 1 : 2;
    ctx.strokeStyle = "#777";
    ctx.stroke();
    ctx.restore();
  }

  function writeNumbers(ctx, place, now) {
    const { x, y, cell, less, reach } = place;
    pen(ctx, `${min(13, cell * 0.36)}px`, "", "center", "middle");
    mapOf(place, now).forEach((number, index) => {
      const size = abs(number);
      if ((now.allowed && !now.allowed[index]) || size < 0.005) return; // a field of 0.00 hides the others
      ctx.fillStyle = (less === undefined ? number / reach < 0.5 : size / reach >= 0.75) ? "#fff" : "#000";
      const text = less === undefined ? number.toFixed(2) : signed(number).replace("0.", "."); // a cell has room for four
      ctx.fillText(text, x + ((index % now.s) + 0.5) * cell, y + (floor(index / now.s) + 0.5) * cell);
    });
  }

  /** A stroke where a difference is below 0: its colour and that above 0 are the same grey. */
  function strikeNegative(ctx, place, now) {
    const { x, y, cell, reach } = place;
    ctx.fillStyle = "#fff";
    mapOf(place, now).forEach((number, index) => {
      if (number > -reach / 10) return;
      ctx.fillRect(x + ((index % now.s) + 0.25) * cell, y + (floor(index / now.s) + 0.5) * cell, cell / 2, 1);
    });
  }

  function writeWords(ctx, place, { words, keys }) {
    pen(ctx, `${place.font}px`, ink.ink, "left", "middle");
    if (place.left) words.forEach((word, i) => atWord(ctx, place, i, false, word));
    if (place.top) keys.forEach((word, j) => atWord(ctx, place, j, true, word));
  }

  /** Writes the word of a row (left of the map) or of a column (above it, slanted); on a plate of this colour if there is one. */
  function atWord(ctx, { x, y, cell, font }, i, above, word, plate) {
    const middle = (i + 0.5) * cell;
    const text = clipped(ctx, word, 84 * (font / 12));
    const wide = ctx.measureText(text).width;
    ctx.save();
    ctx.translate(above ? x + middle : x - 5 - wide, above ? y - 5 : y + middle);
    if (above) ctx.rotate(-Math.PI / 3);
    if (plate) {
      const high = min(20, max(font + 1, cell * 0.87)); // no higher than a word's own place
      ctx.fillStyle = plate;
      ctx.fillRect(-4, -high / 2, wide + 8, high);
      ctx.fillStyle = above ? "#000" : "#fff";
    }
    ctx.fillText(text, 0, 0);
    ctx.restore();
  }

  function clipped(ctx, word, room) {
    if (ctx.measureText(word).width <= room) return word;
    const letters = [...word];
    while (letters.length > 1 && ctx.measureText(`${letters.join("")}…`).width > room) letters.pop();
    return `${letters.join("")}…`;
  }

  function writeLabel(ctx, place) {
    if (!place.label) return;
    const { head, less, x, y, wide, large } = place;
    pen(ctx, large ? "600 14px" : place.label > 14 ? "12px" : "10px", large ? ink.ink : ink.muted);
    const base = y + place.high + place.label - 4; // below the map: the words have the place above it
    if (less !== undefined) {
      const reach = place.reach.toFixed(get("stretch") ? 2 : 0);
      ctx.textAlign = "left";
      ctx.fillText(wide < 280 ? `${head} − ${less}` : `head ${head} − head ${less}`, x, base);
      pen(ctx, "12px", ink.ink, "right");
      ctx.fillText(reach, x + wide, base);
      const right = round(x + wide - ctx.measureText(reach).width - 6);
      for (let i = 0; i < 64; i++) {
        ctx.fillStyle = `rgb(${diverging.subarray(16 * i, 16 * i + 3)})`; // every fourth colour
        ctx.fillRect(right - 64 + i, base - 10, 1, 11);
      }
      ctx.fillStyle = ink.ink;
      return ctx.fillText(`−${reach}`, right - 70, base);
    }
    const share = get("stretch") ? ` · max ${place.reach.toFixed(2)}` : "";
    const names = [`head ${head}${share}`, `head ${head}`, `${head}`];
    const text = names.find((name) => ctx.measureText(name).width <= wide) ?? names[2];
    ctx.fillText(text, x + wide / 2, base);
  }

  /** Outlines that follow the pointer: the same cell in every head, its words, the current head, the pinned ones. */
  function drawMarks(now) {
    const found = hoveredCell(now);
    marks.hidden = !found && !focused && !get("pinned").length; // one picture less for the browser to put on the page
    if (marks.hidden) return;
    const { places, height } = now.layout;
    const ctx = sized(marks, height);
    ctx.lineWidth = 2;
    const frame = ({ x, y, wide, high }, colour) => {
      ctx.strokeStyle = colour;
      ctx.strokeRect(x - 2, y - 2, wide + 4, high + 4);
    };
    for (const place of places) {
      if (place.large) continue;
      if (get("pinned").includes(place.head)) frame(place, ink.ink);
      if (focused && place.head === get("head")) frame(place, ink.brand);
    }
    if (!found) return;
    const [, query, key] = found;
    for (const place of places) {
      const cell = max(place.cell, 3);
      const [x, y] = [place.x + key * place.cell, place.y + query * place.cell];
      const thick = cell >= 12 ? 2 : 1;
      ctx.lineWidth = thick;
      ctx.strokeStyle = "#000";
      ctx.strokeRect(x - thick, y - thick, cell + 2 * thick, cell + 2 * thick);
      ctx.strokeStyle = "#fff";
      ctx.strokeRect(x, y, cell, cell);
      pen(ctx, `600 ${place.font}px`, "", "left", "middle");
      if (place.left) atWord(ctx, place, query, false, now.words[query], ink.query);
      if (place.top) atWord(ctx, place, key, true, now.keys[key], ink.key);
    }
  }

  // ---------------------------------------------------------------------------------------------------------------- words
  /** [head, row, column] of the hovered cell among what is on show. */
  function hoveredCell({ heads, asking, seen }) {
    const [head, query, key] = get("hovered");
    const cell = [head, asking.indexOf(query), seen.indexOf(key)];
    return head < heads && cell[1] >= 0 && cell[2] >= 0 ? cell : null;
  }

  function showReadout(now) {
    const cell = hoveredCell(now);
    const pins = get("pinned");
    readout.classList.toggle("mha-heads-idle", !cell && !focused);
    if (!cell) {
      const action = pins.length
        ? "Click a second head to compare; click a head again (or Esc) to put it back."
        : "Click a head to enlarge it.";
      readout.textContent = focused
        ? `head ${get("head")}: Enter enlarges it, Shift + arrows read cells`
        : `Point at a cell to read its weight. ${action}`;
      return;
    }
    const [head, query, key] = cell;
    if (recorded) askExact(now, query);
    const seen = !now.allowed || now.allowed[query * now.s + key];
    const [row, told] = rowOf(now, head, query);
    const weight = row[key];
    const number = (value) => (told ? "" : "≈ ") + value.toFixed(2);
    const small = (text) => element("small", {}, text);
    const rest = pins.filter((pin) => pin !== head).map((pin) => ` · head ${pin}: ${number(rowOf(now, pin, query)[0][key])}`);
    if (pins.length > 1) {
      const [a, b] = pins.map((pin) => rowOf(now, pin, query)[0][key]);
      rest.push(` · ${pins.join(" − ")}: ${signed(a - b)}`);
    }
    const sum = row.reduce((total, part) => total + part, 0);
    readout.replaceChildren(
      `head ${head}: `,
      named("query", "bdi", {}, now.words[query]),
      " → ",
      named("key", "bdi", {}, now.keys[key]),
      " ",
      element("b", {}, seen ? number(weight) : "masked"),
      ...(seen ? [small(told ? weight.toFixed(4) : "(8 bits)"), ...rest] : []),
      small(`row sums to ${number(sum)}` + (told ? ` (${sum.toFixed(4)})` : "")),
    );
  }

  function showControls(now) {
    if (recorded) {
      const sentences = recordings().map((r) => r.sentence);
      if (sentenceMenu.options.length !== sentences.length) {
        sentenceMenu.replaceChildren(...sentences.map((sentence) => element("option", { value: sentence }, sentence)));
      }
      sentenceMenu.value = get("sentence");
      if (document.activeElement !== input) input.value = get("typed");
      if (!waiting) say(get("message") || (get("can_read") ? "" : get("how_to_read")));
    } else {
      causal.checked = get("causal");
      near.value = get("window") || "";
      showFacts(now);
      timings.show();
    }
    dial.show(steps.indexOf(get(trait)), get(trait));
    stretch.checked = get("stretch");
    barEnd.textContent = stretch.checked ? "head's largest" : "1";
    maskKey.hidden = !now.allowed;
    showHiding(now);
    showReadout(now);
  }

  /** A button for each word, pressed when it is hidden; and what the hidden ones held. */
  function showHiding({ all, held, heads }) {
    if (String(chips.words) !== String(all.keys)) {
      chips.words = all.keys;
      chips.replaceChildren(
        ...all.keys.map((word, i) => element("button", { type: "button", tabIndex: i ? -1 : 0, title: word }, word)),
      );
    }
    const hidden = get("hidden");
    [...chips.children].forEach((chip, i) => {
      const pressed = String(hidden.includes(all.keys[i]));
      if (chip.ariaPressed !== pressed) chip.ariaPressed = pressed;
    });
    if (!held) return say("", hiding);
    if (held.length < heads) return; // what they held is not known yet
    const percent = (share) => `${round(share * 100)}%`;
    const pins = get("pinned").map((head) => `${percent(held[head])} of head ${head}'s weight`);
    const mean = `${percent(held.reduce((a, b) => a + b) / heads)} of the weight, on average over ${heads} heads`;
    const names = all.keys.filter((word) => hidden.includes(word));
    const text = `${names.join(", ")} hidden: ${names[1] ? "they" : "it"} held ${pins.join(" and ") || mean}. Rows are divided by what is left, to sum to 1 again.`;
    say(text, hiding);
  }

  function showFacts({ heads, all: { n } }) {
    const width = get("d_model");
    const bias = get("bias");
    const rows = [
      [heads, `d_model ${width} cut into ${heads}`],
      [width / heads, `${width} / ${heads}`],
      [parameterCount(width, bias), bias ? "4·d² + 4·d: no H in it" : "4·d²: no H in it"],
      [heads * n * n, `H·N² = ${heads} × ${n}²`],
    ];
    rows.forEach(([value, why], i) => {
      const [, number, small] = facts.children[i].children;
      number.textContent = grouped(value);
      small.textContent = why;
    });
  }

  const names = `mha-${Math.random().toString(36).slice(2)}-`;
  const options = [];

  /** The heads for who does not see them: an option lies over each map. */
  function listHeads() {
    const { heads, layout } = present;
    while (options.length > heads) options.pop().remove();
    while (options.length < heads) {
      const head = options.length;
      options.push(element("div", { id: names + head, role: "option", ariaLabel: `head ${head}` }));
      stage.append(options[head]);
    }
    options.forEach((option, head) => {
      const { x, y, wide, high } = layout.places[head];
      option.ariaSelected = get("pinned").includes(head);
      option.style.cssText = `left:${x}px;top:${y}px;width:${wide}px;height:${high}px`;
    });
  }

  /** The weights of the pinned heads, or of the current one, as tables; of a long sentence the row that is read. */
  function showTable(now) {
    if (!table.open) return;
    const [, query] = hoveredCell(now) ?? [0, 0];
    const rows = now.all.whole ? [...now.words.keys()] : [query];
    const pins = get("pinned");
    const heading = (word, scope) => element("th", { scope }, word);
    const tables = (pins.length ? pins : [get("head")]).map((head) =>
      element(
        "table",
        {},
        element("caption", {}, `head ${head}: row → column${now.told ? "" : " (8 bits)"}`),
        element("tr", {}, element("td"), ...now.keys.map((word) => heading(word, "col"))),
        ...rows.map((i) => {
          const cells = [...rowOf(now, head, i)[0]].map((weight) => element("td", {}, weight.toFixed(2)));
          return element("tr", {}, heading(now.words[i], "row"), ...cells);
        }),
      ),
    );
    table.replaceChildren(table.firstChild, element("div", { tabIndex: 0, role: "region", ariaLabel: "weights" }, ...tables));
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  let waiting = 0;

  function say(text, node = message) {
    if (node.textContent !== text) node.textContent = text;
  }

  function ask(event) {
    event.preventDefault();
    const sentence = input.value.trim();
    change({ typed: input.value });
    if (recordings().some((r) => r.sentence === sentence)) return change({ sentence, message: "" });
    if (!get("can_read")) return say(get("how_to_read"));
    clearTimeout(waiting);
    const loaded = get("loaded");
    waiting = setTimeout(() => say(NO_ANSWER), loaded ? ANSWER_WITHIN : 6 * ANSWER_WITHIN);
    say(loaded ? "Reading …" : LOADING);
    try {
      change.send({ kind: "read", sentence });
    } catch {
      say(NO_ANSWER);
    }
  }

  function answered({ kind, id }, buffers) {
    if (kind === "answered") {
      stopWaiting();
    } else {
      asked = false;
      exact = { id, weights: decoded(buffers[0], Float32Array) };
      if (isExact() && present && !refines(present, true)) return moved();
    }
    schedule();
  }

  function stopWaiting() {
    waiting = clearTimeout(waiting);
  }

  function point(event) {
    const box = stage.getBoundingClientRect();
    const found = present && placeAt(present.layout.places, present.n, present.s, event.clientX - box.left, event.clientY - box.top);
    const cell = found && found.query >= 0 ? brightest(found, present) : [];
    stage.style.cursor = found ? "pointer" : "default";
    if (String(cell) !== String(get("hovered"))) change({ hovered: cell });
    return found;
  }

  /** The cell that a pixel shows: of the pool × pool cells in it, the one with the largest weight. */
  function brightest({ place: { pool }, head, query, key }, { n, s, numbers, asking, seen }) {
    const [top, left] = [query, key].map((at) => floor(at / pool) * pool);
    let [best, most] = [[query, key], -1];
    for (let i = top; i < n && i < top + pool; i++) {
      for (let j = left; j < s && j < left + pool; j++) {
        const number = numbers[(head * n + i) * s + j];
        if (number > most) [best, most] = [[i, j], number];
      }
    }
    return [head, asking[best[0]], seen[best[1]]];
  }

  function click(event) {
    const found = point(event);
    // The second click of a double click meets another picture: the first has already rearranged it.
    if (found && event.detail < 2 && found.place.less === undefined)
      change({ head: found.head, pinned: togglePin(get("pinned"), found.head), hovered: [] });
  }

  function press(event) {
    const now = present;
    const head = get("head");
    const cell = hoveredCell(now);
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const ends = { Home: -head, End: now.heads - 1 - head };
    if (event.shiftKey && step) {
      const at = (places, axis) => places[cell ? max(0, min(places.length - 1, cell[axis + 1] + step[axis])) : 0];
      change({ hovered: [head, ...[now.asking, now.seen].map(at)] });
    } else if (step || event.key in ends) {
      const next = head + (step ? step[0] * now.layout.columns + step[1] : ends[event.key]);
      const kept = cell ? [next, ...get("hovered").slice(1)] : [];
      if (next >= 0 && next < now.heads) change({ head: next, hovered: kept });
    } else if (["Enter", " "].includes(event.key)) {
      change({ pinned: togglePin(get("pinned"), head) });
    } else if (event.key === "Escape") {
      change({ pinned: [], hovered: [] });
    } else {
      return;
    }
    event.preventDefault();
  }

  function hide(event) {
    const hidden = get("hidden");
    const word = chips.words[[...chips.children].indexOf(event.target)];
    const next = hidden.includes(word) ? hidden.filter((other) => other !== word) : [...hidden, word];
    if (word !== undefined && chips.words.some((other) => !next.includes(other))) change({ hidden: next, hovered: [] });
  }

  function walk(event) {
    const buttons = [...chips.children];
    const at = buttons.indexOf(event.target);
    const next = buttons[stepped(event, at, buttons.length) ?? at];
    if (next === event.target) return;
    event.preventDefault();
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  }

  sentenceMenu.onchange = () => {
    stopWaiting();
    change({ sentence: sentenceMenu.value, message: "" });
  };
  dial.oninput = () => change({ [trait]: steps[dial.value] });
  causal.onchange = () => change({ causal: causal.checked });
  near.oninput = () => change({ window: max(0, min(near.max, round(near.value))) });
  stretch.onchange = () => change({ stretch: stretch.checked });
  input.oninput = () => model.set("typed", input.value);
  form.onsubmit = ask;
  chips.onclick = hide;
  chips.onkeydown = walk;
  table.ontoggle = schedule;
  stage.onpointermove = point;
  stage.onpointerleave = () => change({ hovered: [] });
  stage.onclick = click;
  stage.onkeydown = press;
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys
  stage.onfocus = stage.onblur = () => ((focused = stage.matches(":focus-visible")), schedule());

  // ------------------------------------------------------------------------------------------------- redraw, and clean up
  const drawn = "sentence layer num_heads causal window hidden stretch pinned head _added typed message";
  const ends = [watch(model, drawn.split(" "), schedule), watch(model, ["hovered"], moved)];
  function moved() {
    if (!present || stage.clientWidth === 0 || schedule.pending) return; // a whole redraw is coming
    drawMarks(present);
    showReadout(present);
    if (!present.all.whole) showTable(present);
  }
  model.on("msg:custom", answered);
  const resized = new ResizeObserver(() => (stage.clientWidth === width && devicePixelRatio === ratio) || schedule()); // a drawing changes the height itself
  try {
    resized.observe(stage, { box: "device-pixel-content-box" }); // a finer screen changes this size alone
  } catch {
    resized.observe(stage); // Safari does not know that box
  }
  const scrolled = new IntersectionObserver(schedule); // JupyterLab blanks what is scrolled away
  scrolled.observe(stage);
  const themed = new MutationObserver(schedule);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  inflating(); // at once, as far as there is something to inflate
  schedule();

  return () => {
    schedule.cancel();
    [waiting, resting].forEach(clearTimeout);
    [resized, scrolled, themed].forEach((observer) => observer.disconnect());
    ends.forEach((end) => end());
    model.off("msg:custom", answered);
    timings?.dispose();
    root.remove();
  };
}

const signed = (number) => (number < 0 ? "−" : "+") + abs(number).toFixed(2);

/** compute's results for the last few keys, as far as they have room: who goes back and forth between two states does not wait. */
function kept(compute) {
  const results = new Map();
  return (...key) => {
    const id = JSON.stringify(key);
    const result = results.get(id) ?? compute();
    results.delete(id);
    results.set(id, result); // now the last
    const { heads, n, s } = result;
    while (results.size > max(1, min(6, ROOM / (heads * n * s)))) results.delete(results.keys().next().value);
    return result;
  };
}

/** A slider over 0 … count - 1 with its value in words beside it. */
function slider(count) {
  const node = element("input", { type: "range", max: count - 1 });
  node.text = element("output");
  node.show = (value, text) => {
    node.value = value;
    node.text.textContent = text;
    node.ariaValueText = text;
  };
  return node;
}

/** An element of this explorer, with a class of its own. */
const named = (name, tag, properties, ...children) =>
  element(tag, { className: `mha-heads-${name}`, ...properties }, ...children);

const field = (...parts) => element("label", {}, ...parts);

export default { initialize, render };
