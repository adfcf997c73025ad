// HeadExplorer: the attention maps of all heads as small multiples, and any head enlarged beside another.
//
// All state lives in the model's traits, and draw() reads them afresh: it does not matter whether a learner, a test or Python
// set them. Head counts, layers, masks and colours are computed here, so that they answer without the kernel.

import { changer, countDrawing, decoded, divisors, element, grouped, scheduler, shownWords, stepped, watch } from "./_shared.js";
import { allowedCells, colourTable, headRows, largestOf, parameterCount, renormalised, SQUARES, shades, togglePin, weightsOf } from "./_head_maths.js";
import { arrange, DIAGONAL_CELL, NUMBER_CELL, placeAt } from "./_head_layout.js";
import { timingsPanel } from "./_timings.js";

const NO_ANSWER =
  "The kernel has not answered yet: it is busy or not running. Your sentence stays; its maps will come.";
const LOADING = "The first sentence loads the model: seconds …";
const ANSWER_WITHIN = 5000; // ms
const STAGE =
  "Heads: arrow keys choose one, Enter enlarges it, Shift and arrows read cells, Escape clears.";
const AT_ONCE = 6e6; // products of a projection's maps; more are computed over several frames, so that no slider waits
const SLICE = 8; // ms of a frame
const WHOLE = 64; // tokens; the exact weights of a layer of more are asked for row by row

/** Rules between traits that hold for every view, with or without a kernel: what the new state does not have is dropped. */
function initialize({ model }) {
  const dropMissing = () => {
    const heads = model.get("num_heads");
    model.set(
      "pinned",
      model.get("pinned").filter((head) => head < heads),
    );
    model.set("head", Math.min(model.get("head"), heads - 1));
    model.set("hovered", []);
  };
  return watch(model, ["num_heads", "sentence"], dropMissing);
}

function render({ model, el }) {
  const get = (trait) => model.get(trait);
  const recorded = get("source") === "recorded";
  const colours = colourTable(get("_colours"));
  const diverging = colourTable(get("_differences"));

  // ------------------------------------------------------------------------------------------------------------ elements
  const sentenceMenu = element("select");
  const layer = slider(get("num_layers"));
  const counts = recorded ? [] : divisors(get("d_model"));
  const headCount = slider(counts.length);
  const causal = element("input", { type: "checkbox" });
  const near = element("input", { type: "number", min: 0, max: get("tokens").length, placeholder: "none" });
  const stretch = element("input", { type: "checkbox" });
  const barEnd = element("span");
  const bar = named("bar", "span");
  bar.style.background = "linear-gradient(to right," + get("_colours").map(([at, hex]) => `${hex} ${at / 2.55}%`) + ")";
  const maskKey = named("masked", "span", element("i"), "masked");

  const input = element("input", { type: "text", spellcheck: false, placeholder: "or type your own", ariaLabel: "your own sentence" });
  const message = element("p", { className: "mha-heads-message", role: "status" });
  const form = named(
    "form",
    "form",
    input,
    element("button", { type: "submit" }, "Show its heads"),
  );

  const facts = named("facts", "div");
  const chips = element("div", { className: "mha-heads-chips", role: "toolbar", "aria-label": "hide words" });
  const hiding = element("p", { className: "mha-heads-hiding", role: "status" });
  const readout = element("p", { className: "mha-heads-readout", "aria-live": "polite" });
  const maps = element("canvas", { ariaHidden: "true" });
  const marks = element("canvas", { ariaHidden: "true" });
  const stage = element("div", { className: "mha-heads-stage", tabIndex: 0, role: "listbox", ariaMultiSelectable: "true", ariaLabel: STAGE }, maps, marks);
  const pooled = element("span");
  const legend = named(
    "legend",
    "p",
    "each ",
    named("query", "span", "row"),
    " is a word that looks (query), each ",
    named("key", "span", "column"),
    " a word it looks at (key); a row's weights sum to 1",
    pooled,
  );
  const table = named("table", "details", element("summary", {}, "As a table"));

  const scale = named(
    "scale",
    "span",
    maskKey,
    "weight 0",
    bar,
    barEnd,
    field("", stretch, "stretch"),
  );
  const line = (...parts) => named("line", "div", ...parts);
  const root = element("div", { className: "mha mha-heads", "data-lm-suppress-shortcuts": "true" });
  if (recorded) root.append(line(field("Sentence", sentenceMenu), form), message);
  if (recorded) root.append(line(...(layer.max > 0 ? [field("Layer", layer, layer.text)] : []), scale));
  else
    root.append(line(field("Heads", headCount, headCount.text), field("", causal, "causal mask"), field("Window", near), scale), facts);
  const change = changer(model);
  const timings = recorded ? null : timingsPanel({ model, change });
  if (timings) root.append(timings.node);
  root.append(line("Hide", chips), hiding, readout, stage, legend, table);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const recordings = () => [...get("_recordings"), ...get("_typed")];

  // Exact weights of a recording, which is sent with 8 bits a weight: { id: [sentence, layer, first row, last row], weights }.
  let exact = { id: [] };
  let asked = "";

  /** The maps of all tokens, computed when a trait that moves them has changed. */
  const whole = kept(() => {
    const heads = get("num_heads");
    const source = recorded
      ? (recordings().find((r) => r.sentence === get("sentence")) ?? recordings()[0])
      : { tokens: get("tokens"), mask: get("_mask") };
    const n = source.tokens.length;
    const mask = decoded(source.mask, Uint8Array);
    const allowed = allowedCells(n, mask, get("causal"), get("window"));
    const [query, key] = ["_query", "_key"].map((name) => decoded(get(name), Float32Array));
    const told = !recorded || (isExact() && n <= WHOLE);
    const size = heads * n * n;
    const width = get("d_model");
    let numbers = recorded ? exact.weights : new Float32Array(size);
    const rest = recorded ? null : headRows(numbers, query, key, n, width, heads, allowed);
    if (!told) numbers = decoded(source.weights, Uint8Array).subarray(get("layer") * size).subarray(0, size);
    const all = { heads, words: shownWords(source.tokens), n, allowed, numbers, told, rest, rows: rest ? 0 : Infinity };
    if (n * n * width < AT_ONCE) advance(all);
    return all;
  });

  /** What is on show: the maps of the tokens that are not hidden. seen are their places in the sentence. */
  const shown = kept(() => {
    const all = whole(...moving());
    const hidden = get("hidden");
    const every = [...all.words.keys()];
    const seen = every.filter((i) => !hidden.includes(all.words[i]));
    const drawn = { all, pictures: {}, reaches: {} };
    if (!seen.length || seen.length === all.n) return { ...all, ...drawn, seen: every };
    const [n, words] = [seen.length, seen.map((i) => all.words[i])];
    advance(all);
    const { maps: numbers, held } = renormalised(weights(all), all.heads, all.n, seen);
    const allowed = all.allowed && Uint8Array.from(seen.flatMap((i) => seen.map((j) => all.allowed[i * all.n + j])));
    return { ...all, ...drawn, seen, n, words, allowed, numbers, weights: numbers, held };
  });

  /** Computes rows of a projection's maps for so many milliseconds, or to the last. */
  function advance(all, ms = Infinity) {
    const end = performance.now() + ms;
    for (; all.rest && performance.now() < end; all.rows++) if (all.rest.next().done) all.rest = null;
  }

  const moving = () => [
    ...["sentence", "layer", "num_heads", "causal", "window"].map((name) => get(name)),
    recorded && [recordings().length, exact.id],
  ];
  const present = () => shown(get("hidden"), ...moving());
  const isExact = () => exact.id[0] === get("sentence") && exact.id[1] === get("layer");

  /** The weights (H, N, N), made of the bytes only when numbers are read: the pictures do without. */
  const weights = (maps) => (maps.weights ??= maps.told ? maps.numbers : weightsOf(maps.numbers));
  const partOf = (numbers, head, { n }) => numbers.subarray(head * n * n, (head + 1) * n * n);

  /** The weights of a place's map, or the difference that it shows. */
  function mapOf({ head, less }, now) {
    const map = partOf(weights(now), head, now);
    const other = less === undefined ? null : partOf(weights(now), less, now);
    return other ? map.map((weight, i) => weight - other[i]) : map;
  }

  /** The largest weight or difference that a place's colours reach. */
  function reachOf({ head, less }, now) {
    if (!get("stretch")) return 1;
    const reach = () => largestOf(mapOf({ head, less }, now)) || 1;
    return now.all.rest ? reach() : (now.reaches[[head, less]] ??= reach());
  }

  /** A row of weights on show, and whether these are the exact ones. */
  function rowOf(now, head, query) {
    const { n, told, all, seen, heads } = now;
    if (recorded && !told && isExact() && exact.id[2] === seen[query]) {
      const row = n === all.n ? exact.weights : renormalised(exact.weights, heads, all.n, seen, 1, [0]).maps;
      return [row.subarray(head * n, (head + 1) * n), true];
    }
    const from = (head * n + query) * n;
    return [weights(now).subarray(from, from + n), told];
  }

  /** Asks the kernel, if there is one, for the exact weights of a small layer or of one row. One question at a time. */
  function askExact({ all, seen, told }, query) {
    const rows = all.n > WHOLE ? [seen[query], seen[query] + 1] : [0, all.n];
    const id = [get("sentence"), get("layer"), ...rows];
    if (told || asked || String(id) === String(exact.id)) return;
    try {
      model.send({ kind: "exact", id });
      asked = String(id);
    } catch {
      // Without a kernel the readout says that its numbers have 8 bits.
    }
  }

  // ------------------------------------------------------------------------------------------------------------- drawing
  let layout = null;
  let ink = {};
  let focused = false;
  let drawnAt = "";
  const here = () => `${stage.clientWidth} ${devicePixelRatio}`;
  const schedule = scheduler(draw);

  function draw() {
    const width = Math.floor(stage.clientWidth);
    drawnAt = here();
    if (width === 0) return; // scrolled away: the observers call again
    const now = present();
    advance(now.all, SLICE);
    const pinned = get("pinned");
    if (recorded && now.all.n <= WHOLE && (pinned.length || now.held || table.open)) askExact(now);
    ink = inks();
    showControls(now);
    const unit = 1 / devicePixelRatio;
    const measure = maps.getContext("2d");
    measure.font = `12px ${ink.family}`;
    const wordRoom = Math.min(84, Math.max(...now.words.map((word) => measure.measureText(word).width)));
    layout = arrange({ heads: now.heads, n: now.n, width, pinned, wordRoom, unit });
    stage.style.height = `${layout.height}px`;
    stage.places = layout.places; // where a script on the page, or a test, finds the maps
    const { pool } = layout.places.at(-1);
    pooled.textContent = pool > 1 ? `; a pixel shows the largest of ${pool} × ${pool} weights` : "";
    listHeads(now);
    drawMaps(sized(maps, width, layout.height), now);
    drawMarks(now);
    showTable(now);
    countDrawing(root);
    if (now.all.rest) schedule();
  }

  function inks() {
    const style = getComputedStyle(root);
    const value = (name) => style.getPropertyValue(`--mha-${name}`).trim();
    const names = ["ink", "muted", "page", "line", "brand", "query", "key"];
    return { family: style.fontFamily, ...Object.fromEntries(names.map((name) => [name, value(name)])) };
  }

  /** The canvas's context, cleared, in CSS pixels, on as many device pixels as the screen has. */
  function sized(canvas, width, height) {
    const [w, h] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    // Never lower: the stage hides what is too much, and a new size costs as much as all maps.
    if (canvas.width !== w || canvas.height < h) {
      Object.assign(canvas, { width: w, height: h });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const context = canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, w, canvas.height);
    return context;
  }

  function drawMaps(context, now) {
    const covers = {};
    context.imageSmoothingEnabled = false;
    for (const place of layout.places) {
      const { x, y, side, cell, pool } = place;
      // Where all cells of a pixel are masked.
      const masked = () => pixelsOf(shades(now.allowed, 0, now.n, pool, (seen) => (seen ? 0 : 255 << 24)));
      const stencil = now.allowed && (now.pictures[pool] ??= masked());
      context.drawImage(painted(place, now), x, y, side, side);
      if (stencil) {
        context.globalCompositeOperation = "destination-out";
        context.drawImage(stencil, x, y, side, side);
        context.globalCompositeOperation = "source-over";
      }
      context.drawImage((covers[side] ??= paintCover(place, now, stencil)), x, y, side, side);
      if (cell >= DIAGONAL_CELL) outlineDiagonal(context, place, now);
      if (cell >= NUMBER_CELL) writeNumbers(context, place, now);
      writeWords(context, place, now);
      writeLabel(context, place, now);
    }
    if (layout.empty) drawEmptySlot(context, layout.empty);
  }

  function drawEmptySlot(context, { x, y, side }) {
    context.strokeStyle = ink.line;
    context.setLineDash([6, 6]);
    context.strokeRect(x, y, side, side);
    context.setLineDash([]);
    context.font = `14px ${ink.family}`;
    context.fillStyle = ink.muted;
    context.textAlign = "center";
    context.fillText("click another to compare", x + side / 2, y + side / 2);
  }

  /** One pixel a cell, or more cells a pixel: a map on the page is an enlargement of it. */
  function painted(place, now) {
    const { head, less, pool } = place;
    const reach = reachOf(place, now);
    const paint = () => {
      const numbers = less === undefined ? partOf(now.numbers, head, now) : mapOf(place, now);
      const palette = new Uint32Array((less === undefined ? colours : diverging).buffer);
      const zero = less === undefined ? 0 : 127.5;
      const colour = (weight) => palette[Math.round(zero + (weight / reach) * (255 - zero))];
      const table = Uint32Array.from(SQUARES, colour);
      return pixelsOf(shades(numbers, 0, now.n, pool, numbers.BYTES_PER_ELEMENT > 1 ? colour : (byte) => table[byte]));
    };
    if (now.all.rows < Math.max(head, less ?? 0) * now.n + now.n) return paint(); // rows are to come
    return (now.pictures[[head, less, pool, reach]] ??= paint());
  }

  function pixelsOf(colours) {
    const side = Math.sqrt(colours.length);
    const picture = element("canvas", { width: side, height: side });
    picture.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(colours.buffer), side), 0, 0);
    return picture;
  }

  /** What lies over every map of one size: hatching on masked cells, thin lines between large ones. */
  function paintCover({ side, cell }, { n }, stencil) {
    const cover = element("canvas");
    const context = sized(cover, side, side);
    if (stencil) {
      context.imageSmoothingEnabled = false;
      context.drawImage(stencil, 0, 0, side, side);
      context.globalCompositeOperation = "source-in"; // only where the stencil is
      context.strokeStyle = ink.line;
      context.lineWidth = cell >= 6 ? 1 : 0.5;
      const step = Math.max(3, Math.min(7, cell / 2));
      context.beginPath();
      for (let d = step / 2; d < 2 * side; d += step) {
        context.moveTo(d, 0);
        context.lineTo(0, d);
      }
      context.stroke();
      context.globalCompositeOperation = "source-over";
    }
    if (cell >= 8) {
      context.fillStyle = ink.page;
      const thin = (cell >= 20 ? 2 : 1) / devicePixelRatio;
      for (let i = 1; i < n; i++) {
        context.fillRect(i * cell, 0, thin, side);
        context.fillRect(0, i * cell, side, thin);
      }
    }
    return cover;
  }

  /** A thin line around the cells where a word looks at itself, lighter than the dark ones and darker than the light ones. */
  function outlineDiagonal(context, { x, y, cell }, { n }) {
    context.beginPath();
    for (let i = 0; i < n; i++) context.rect(x + i * cell + 1.5, y + i * cell + 1.5, cell - 2, cell - 2);
    context.globalCompositeOperation = "difference";
    context.lineWidth = 1;
    context.strokeStyle = "#777";
    context.stroke();
    context.globalCompositeOperation = "source-over";
  }

  function writeNumbers(context, place, now) {
    const { x, y, cell, less } = place;
    const reach = reachOf(place, now);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${Math.min(13, cell * 0.36)}px ${ink.family}`;
    mapOf(place, now).forEach((number, index) => {
      const size = Math.abs(number);
      if ((now.allowed && !now.allowed[index]) || size < 0.005) return; // a field of 0.00 hides the others
      context.fillStyle = less === undefined ? (number / reach < 0.5 ? "#fff" : "#000") : size / reach < 0.75 ? "#000" : "#fff";
      const text = less === undefined ? number.toFixed(2) : signed(number);
      context.fillText(text, x + ((index % now.n) + 0.5) * cell, y + (Math.floor(index / now.n) + 0.5) * cell);
    });
  }

  function writeWords(context, place, { words }) {
    context.fillStyle = ink.ink;
    context.font = `${place.font}px ${ink.family}`;
    words.forEach((word, i) => {
      if (place.left) atWord(context, place, i, false, word);
      if (place.top) atWord(context, place, i, true, word);
    });
  }

  /** Writes the word of a row (left of the map) or of a column (above it, slanted); on a plate of this colour if there is one. */
  function atWord(context, { x, y, cell, font }, i, above, word, plate) {
    const middle = (i + 0.5) * cell;
    const text = clipped(context, word, 84 * (font / 12));
    const wide = context.measureText(text).width;
    context.save();
    context.translate(above ? x + middle : x - 5 - wide, above ? y - 5 : y + middle);
    if (above) context.rotate(-Math.PI / 3);
    if (plate) {
      const high = Math.min(20, Math.max(font + 1, cell * 0.87)); // no higher than a word's own place
      context.fillStyle = plate;
      context.fillRect(-4, -high / 2, wide + 8, high);
      context.fillStyle = above ? "#000" : "#fff";
    }
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(text, 0, 0);
    context.restore();
  }

  function clipped(context, word, room) {
    if (context.measureText(word).width <= room) return word;
    const letters = [...word];
    while (letters.length > 1 && context.measureText(`${letters.join("")}…`).width > room) letters.pop();
    return `${letters.join("")}…`;
  }

  function writeLabel(context, place, now) {
    if (!place.label) return;
    const { head, less, x, y, side, large } = place;
    context.font = `${large ? "600 14px" : place.label > 14 ? "12px" : "10px"} ${ink.family}`;
    context.fillStyle = large ? ink.ink : ink.muted;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    const base = y + side + place.label - 4; // below the map: the words have the place above it
    if (less !== undefined) {
      const reach = reachOf(place, now).toFixed(get("stretch") ? 2 : 0);
      context.textAlign = "left";
      context.fillText(side < 280 ? `${head} − ${less}` : `head ${head} − head ${less}`, x, base);
      context.textAlign = "right";
      context.font = `12px ${ink.family}`;
      context.fillText(reach, x + side, base);
      const right = Math.round(x + side - context.measureText(reach).width - 6);
      for (let i = 0; i < 64; i++) {
        context.fillStyle = `rgb(${diverging.subarray(16 * i, 16 * i + 3)})`; // every fourth colour
        context.fillRect(right - 64 + i, base - 10, 1, 11);
      }
      context.fillStyle = ink.ink;
      return context.fillText(`−${reach}`, right - 70, base);
    }
    const share = get("stretch") ? ` · max ${reachOf(place, now).toFixed(2)}` : "";
    const names = [`head ${head}${share}`, `head ${head}`, String(head)];
    const text = names.find((name) => context.measureText(name).width <= side) ?? names[2];
    context.fillText(text, x + side / 2, base);
  }

  /** Outlines that follow the pointer: the same cell in every head, its words, the current head, the pinned ones. */
  function drawMarks(now) {
    const found = hoveredCell(now);
    marks.hidden = !found && !focused && !get("pinned").length; // one picture less for the browser to put on the page
    if (marks.hidden) return;
    const context = sized(marks, maps.clientWidth, layout.height);
    const frameOf = ({ x, y, side }, colour, thick) => {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.strokeRect(x - thick / 2 - 1, y - thick / 2 - 1, side + thick + 2, side + thick + 2);
    };
    for (const place of layout.places) {
      if (place.large) continue;
      if (get("pinned").includes(place.head)) frameOf(place, ink.ink, 2);
      if (focused && place.head === get("head")) frameOf(place, ink.brand, 2);
    }
    if (!found) return;
    const [, query, key] = found;
    for (const place of layout.places) {
      const cell = Math.max(place.cell, 3);
      const [x, y] = [place.x + key * place.cell, place.y + query * place.cell];
      const thick = cell >= 12 ? 2 : 1;
      context.lineWidth = thick;
      context.strokeStyle = "#000";
      context.strokeRect(x - thick, y - thick, cell + 2 * thick, cell + 2 * thick);
      context.strokeStyle = "#fff";
      context.strokeRect(x, y, cell, cell);
      context.font = `600 ${place.font}px ${ink.family}`;
      if (place.left) atWord(context, place, query, false, now.words[query], ink.query);
      if (place.top) atWord(context, place, key, true, now.words[key], ink.key);
    }
  }

  // ---------------------------------------------------------------------------------------------------------------- words
  /** [head, row, column] of the hovered cell among what is on show. */
  function hoveredCell({ heads, seen }) {
    const [head, query, key] = get("hovered");
    const cell = [head, seen.indexOf(query), seen.indexOf(key)];
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
    const seen = !now.allowed || now.allowed[query * now.n + key];
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
      named("query", "bdi", now.words[query]),
      " → ",
      named("key", "bdi", now.words[key]),
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
      layer.show(get("layer"), `${get("layer")}`);
      if (document.activeElement !== input) input.value = get("typed");
      if (!waiting) say(get("message") || (get("can_read") ? "" : get("how_to_read")));
    } else {
      headCount.show(counts.indexOf(now.heads), `${now.heads}`);
      causal.checked = get("causal");
      near.value = get("window") || "";
      showFacts(now);
      timings.show();
    }
    stretch.checked = get("stretch");
    barEnd.textContent = stretch.checked ? "head's largest" : "1";
    maskKey.hidden = !now.allowed;
    showHiding(now);
    showReadout(now);
  }

  /** A button for each word, pressed when it is hidden; and what the hidden ones held. */
  function showHiding({ all, held, heads }) {
    if (String(chips.words) !== String(all.words)) {
      chips.words = all.words;
      chips.replaceChildren(
        ...all.words.map((word, i) => element("button", { type: "button", tabIndex: i ? -1 : 0, title: word }, word)),
      );
    }
    const hidden = get("hidden");
    [...chips.children].forEach((chip, i) => {
      const pressed = String(hidden.includes(all.words[i]));
      if (chip.ariaPressed !== pressed) chip.ariaPressed = pressed;
    });
    const percent = (share) => `${Math.round(share * 100)}%`;
    const pins = get("pinned").map((head) => `${percent(held?.[head])} of head ${head}'s weight`);
    const mean = `${percent(held?.reduce((a, b) => a + b) / heads)} of the weight, on average over ${heads} heads`;
    const names = all.words.filter((word) => hidden.includes(word));
    const they = names.length > 1 ? "they" : "it";
    const text = `${names.join(", ")} hidden: ${they} held ${pins.join(" and ") || mean}. Rows are divided by what is left, to sum to 1 again.`;
    if (hiding.textContent !== (held ? text : "")) hiding.textContent = held ? text : "";
  }

  function showFacts({ heads, all: { n } }) {
    const width = get("d_model");
    const bias = get("bias");
    const rows = [
      ["heads H", grouped(heads), `d_model ${width} cut into ${heads}`],
      ["d_head", grouped(width / heads), `${width} / ${heads}`],
      ["parameters", grouped(parameterCount(width, bias)), bias ? "4·d² + 4·d: no H in it" : "4·d²: no H in it"],
      ["stored scores", grouped(heads * n * n), `H·N² = ${heads} × ${n}²`],
    ];
    facts.replaceChildren(
      ...rows.map(([name, value, why]) =>
        element("div", {}, element("span", {}, name), element("b", {}, value), element("small", {}, why)),
      ),
    );
  }

  const names = `mha-${Math.random().toString(36).slice(2)}-`;
  const options = [];

  /** The heads for who does not see them: an option lies over each map. */
  function listHeads({ heads }) {
    stage.setAttribute("aria-activedescendant", names + get("head"));
    while (options.length > heads) options.pop().remove();
    while (options.length < heads) {
      const head = options.length;
      options.push(element("div", { id: names + head, role: "option", ariaLabel: `head ${head}` }));
      stage.append(options[head]);
    }
    options.forEach((option, head) => {
      const { x, y, side } = layout.places[head];
      option.ariaSelected = get("pinned").includes(head);
      option.style.cssText = `left:${x}px;top:${y}px;width:${side}px;height:${side}px`;
    });
  }

  /** The weights of the pinned heads, or of the current one, as tables; of a long sentence the row that is read. */
  function showTable(now) {
    if (!table.open) return;
    const [, query] = hoveredCell(now) ?? [0, 0];
    const rows = now.n > WHOLE ? [query] : [...now.words.keys()];
    const pins = get("pinned");
    const heading = (word, scope) => element("th", { scope }, word);
    const tables = (pins.length ? pins : [get("head")]).map((head) =>
      element(
        "table",
        {},
        element("caption", {}, `head ${head}: row → column${now.told ? "" : " (8 bits)"}`),
        element("tr", {}, element("td"), ...now.words.map((word) => heading(word, "col"))),
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

  function say(text) {
    if (message.textContent !== text) message.textContent = text;
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
      model.send({ kind: "read", sentence });
    } catch {
      say(NO_ANSWER);
    }
  }

  function answered({ kind, id }, buffers) {
    if (kind === "answered") {
      stopWaiting();
      schedule();
    } else if (kind === "exact") {
      if (asked === String(id)) asked = "";
      exact = { id, weights: decoded(buffers[0], Float32Array) };
      if (isExact() && !present().told) moved(); // one row of a long sentence
      else schedule();
    }
  }

  function stopWaiting() {
    clearTimeout(waiting);
    waiting = 0;
  }

  function point(event) {
    const box = stage.getBoundingClientRect();
    const now = present();
    const found = layout && placeAt(layout.places, now.n, event.clientX - box.left, event.clientY - box.top);
    const cell = found && found.query >= 0 ? brightest(found, now) : [];
    stage.style.cursor = found ? "pointer" : "default";
    if (String(cell) !== String(get("hovered"))) change({ hovered: cell });
    return found;
  }

  /** The cell that a pixel shows: of the pool × pool cells in it, the one with the largest weight. */
  function brightest({ place: { pool }, head, query, key }, { n, numbers, seen }) {
    const [top, left] = [query, key].map((at) => Math.floor(at / pool) * pool);
    let [best, most] = [[query, key], -1];
    for (let i = top; i < n && i < top + pool; i++) {
      for (let j = left; j < n && j < left + pool; j++) {
        const number = numbers[(head * n + i) * n + j];
        if (number > most) [best, most] = [[i, j], number];
      }
    }
    return [head, seen[best[0]], seen[best[1]]];
  }

  function click(event) {
    const found = point(event);
    // The second click of a double click meets another picture: the first has already rearranged it.
    if (found && event.detail < 2 && found.place.less === undefined)
      change({ head: found.head, pinned: togglePin(get("pinned"), found.head), hovered: [] });
  }

  function press(event) {
    const now = present();
    const head = get("head");
    const cell = hoveredCell(now);
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const ends = { Home: -head, End: now.heads - 1 - head };
    if (event.shiftKey && step) {
      const at = cell ? [0, 1].map((axis) => Math.max(0, Math.min(now.n - 1, cell[axis + 1] + step[axis]))) : [0, 0];
      change({ hovered: [head, ...at.map((i) => now.seen[i])] });
    } else if (step || event.key in ends) {
      const next = head + (step ? step[0] * layout.columns + step[1] : ends[event.key]);
      const kept = cell ? [next, ...get("hovered").slice(1)] : [];
      if (next >= 0 && next < now.heads) change({ head: next, hovered: kept });
    } else if (event.key === "Enter" || event.key === " ") {
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
  layer.oninput = () => change({ layer: Number(layer.value) });
  headCount.oninput = () => change({ num_heads: counts[Number(headCount.value)] });
  causal.onchange = () => change({ causal: causal.checked });
  near.oninput = () => change({ window: Math.max(0, Math.min(near.max, Math.round(near.value))) });
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
  stage.onfocus = () => ((focused = stage.matches(":focus-visible")), schedule());
  stage.onblur = () => ((focused = false), schedule());

  // ------------------------------------------------------------------------------------------------- redraw, and clean up
  const drawn = "sentence layer num_heads causal window hidden stretch pinned head _typed typed message";
  const ends = [watch(model, drawn.split(" "), schedule)];
  const moved = () => {
    if (!layout || stage.clientWidth === 0 || schedule.pending) return; // a whole redraw is coming
    const now = present();
    drawMarks(now);
    showReadout(now);
    if (now.n > WHOLE) showTable(now);
  };
  ends.push(watch(model, ["hovered"], moved));
  model.on("msg:custom", answered);
  const resized = new ResizeObserver(() => here() === drawnAt || schedule()); // a drawing changes the height itself
  try {
    resized.observe(stage, { box: "device-pixel-content-box" }); // a finer screen changes this size alone
  } catch {
    resized.observe(stage); // Safari does not know that box
  }
  const scrolled = new IntersectionObserver(schedule); // JupyterLab blanks what is scrolled away
  scrolled.observe(stage);
  const themed = new MutationObserver(schedule);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  schedule();

  return () => {
    schedule.cancel();
    clearTimeout(waiting);
    [resized, scrolled, themed].forEach((observer) => observer.disconnect());
    ends.forEach((end) => end());
    model.off("msg:custom", answered);
    timings?.dispose();
    root.remove();
  };
}

const signed = (number) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2);

/** compute's results for the last few keys: who goes back and forth between two states does not wait. */
function kept(compute) {
  const results = new Map();
  return (...key) => {
    const id = JSON.stringify(key);
    if (!results.has(id)) results.set(id, compute());
    if (results.size > 6) results.delete(results.keys().next().value);
    return results.get(id);
  };
}

/** A slider over 0 … count - 1 with its value in words beside it. */
function slider(count) {
  const node = element("input", { type: "range", min: 0, max: Math.max(0, count - 1), step: 1 });
  node.text = element("output");
  node.show = (value, text) => {
    node.value = value;
    node.text.textContent = text;
    node.setAttribute("aria-valuetext", text);
  };
  return node;
}

/** An element of this explorer, with a class of its own. */
function named(name, tag, ...children) {
  return element(tag, { className: `mha-heads-${name}` }, ...children);
}

function field(label, ...parts) {
  return element("label", {}, ...(label ? [label] : []), ...parts);
}

export default { initialize, render };
