// HeadExplorer: the attention maps of all heads as small multiples, and any head enlarged beside another.
//
// All state lives in the model's traits, and draw() reads them afresh: it does not matter whether a learner, a test or Python
// set them. Head counts, layers, masks and colours are computed here, so that they answer without the kernel.

import { changer, countDrawing, decoded, divisors, element, grouped, scheduler, shownWords, watch } from "./_shared.js";
import { timingsPanel } from "./_timings.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/** Turns one row of scores into weights, in place: softmax over the allowed cells, 0 elsewhere. A row that sees nothing is all 0. */
export function softmax(row, allowed = null) {
  let top = -Infinity;
  for (let j = 0; j < row.length; j++) if ((!allowed || allowed[j]) && row[j] > top) top = row[j];
  let sum = 0;
  for (let j = 0; j < row.length; j++) {
    row[j] = !allowed || allowed[j] ? Math.exp(row[j] - top) : 0;
    sum += row[j];
  }
  if (sum > 0) for (let j = 0; j < row.length; j++) row[j] /= sum;
  return row;
}

/** Maps (H, N, N) of the heads cut from query and key (N, width): head h takes the columns h·K … (h+1)·K, K = width / H. */
export function headMaps(query, key, n, width, heads, allowed = null) {
  const dHead = width / heads;
  const scale = 1 / Math.sqrt(dHead);
  const maps = new Float32Array(heads * n * n);
  const row = new Float64Array(n);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let dot = 0;
        for (let k = h * dHead; k < (h + 1) * dHead; k++) dot += query[i * width + k] * key[j * width + k];
        row[j] = dot * scale;
      }
      softmax(row, allowed && allowed.subarray(i * n, (i + 1) * n));
      maps.set(row, (h * n + i) * n);
    }
  }
  return maps;
}

/** Maps (H, N, N) of one layer of a recording: weights (L, H, N, N) as fractions of 65535. */
export function layerMaps(weights, layer, heads, n) {
  const size = heads * n * n;
  return new Float32Array(weights.subarray(layer * size, (layer + 1) * size)).map((step) => step / 65535);
}

/** The cells (N, N) that may be seen, as 0 and 1: the given mask, joined with the causal one. null when all may. */
export function allowedCells(n, mask, causal) {
  if (!mask && !causal) return null;
  return Uint8Array.from({ length: n * n }, (_, cell) => {
    const seen = !causal || cell % n <= Math.floor(cell / n);
    return seen && (!mask || mask[cell]) ? 1 : 0;
  });
}

function largestOf(numbers) {
  let largest = 0;
  for (const number of numbers) if (number > largest) largest = number;
  return largest;
}

/** Parameters of the four projections W^Q, W^K, W^V and W^O: no head count in it. */
export const parameterCount = (width, bias) => 4 * width * width + (bias ? 4 * width : 0);

/** 256 colours (r, g, b, 255) through the given [index, "#rrggbb"] anchors. */
export function colourTable(anchors) {
  const table = new Uint8ClampedArray(256 * 4).fill(255);
  const channel = (hex, c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16);
  for (let a = 1; a < anchors.length; a++) {
    const [[from, first], [to, last]] = [anchors[a - 1], anchors[a]];
    for (let i = from; i <= to; i++) {
      const part = (i - from) / (to - from);
      for (let c = 0; c < 3; c++)
        table[4 * i + c] = Math.round(channel(first, c) * (1 - part) + channel(last, c) * part);
    }
  }
  return table;
}

/** The pins after a click on a head: again unpins; a second stands beside the first; a third takes the second's place. */
export function togglePin(pinned, head) {
  return pinned.includes(head) ? pinned.filter((pin) => pin !== head) : [...pinned.slice(0, 1), head];
}

// --------------------------------------------------------------------------------------------------------------- layout

const WORD_CELL = 7; // the smallest cell, in CSS pixels, whose row can carry a word
const LONG = 20; // letters; a longer word may be cut, and then shows whole in a title
const NUMBER_CELL = 26; // the smallest cell that can carry its number

/**
 * Where every map stands, in CSS pixels: { places, columns, height }. A place is { head, x, y, side, cell, large, font, label,
 * left, top }: label is the height kept for "head 3", left and top say which words it carries. Without pins the heads fill the
 * width; with pins they become a strip of thumbnails and the pinned heads stand large below it. unit is one device pixel.
 */
export function arrange({ heads, n, width, pinned = [], wordRoom = 60, unit = 1 }) {
  const strip = pinned.length > 0;
  const grid = fit({
    heads,
    n,
    width,
    wordRoom,
    unit,
    limit: strip ? 150 : 540,
    largest: strip ? 76 : 440,
    withWords: !strip,
  });
  if (!strip) return grid;
  const across = width >= 640 ? 2 : 1;
  const share = Math.floor((width - 24 * (across - 1)) / across);
  const large = fit({ heads: 1, n, width: share, wordRoom, unit, limit: 560, largest: 450, withWords: true });
  const below = grid.height + 6;
  const slot = (index) => ({
    ...large.places[0],
    x: large.places[0].x + (index % across) * (share + 24),
    y: large.places[0].y + below + Math.floor(index / across) * (large.height + 8),
  });
  pinned.forEach((head, index) => grid.places.push({ ...slot(index), head, large: true }));
  return {
    ...grid,
    height: below + large.height * Math.ceil(pinned.length / across) + 8,
    empty: across === 2 && pinned.length === 1 && heads > 1 ? slot(1) : null,
  };
}

/** The largest maps of whole device pixels a cell with which `heads` maps fit into width × limit; a bit smaller for fewer rows. */
function fit({ heads, n, width, wordRoom, unit, limit, largest, withWords }) {
  let best = null;
  for (let step = Math.max(1, Math.floor(largest / n / unit)); step >= 1; step--) {
    const cell = step * unit;
    const side = cell * n;
    const words = withWords && cell >= WORD_CELL;
    const font = Math.min(13, Math.max(8, cell * 0.86));
    const room = words ? (wordRoom * font) / 12 + 8 : 0;
    const gap = side >= 100 ? 14 : side >= 48 ? 8 : 4;
    const label = side >= 60 ? 18 : side >= 40 ? 13 : 0;
    const columns = Math.floor((width - room * 1.5 + gap) / (side + gap));
    if (columns < 1 && step > 1) continue;
    const rows = Math.ceil(heads / Math.max(1, columns));
    const height = Math.ceil(room * 0.86 + rows * (side + gap + label));
    if (height > limit && step > 1) continue;
    if (best && step < 0.85 * best.step) break;
    if (!best || rows < best.rows) best = { step, cell, side, words, font, room, gap, label, rows, height };
  }
  const { cell, side, words, font, room, gap, label, rows, height } = best;
  const columns = Math.ceil(heads / rows);
  const snap = (value) => Math.round(value / unit) * unit;
  const places = Array.from({ length: heads }, (_, head) => {
    const [row, column] = [Math.floor(head / columns), head % columns];
    const x = snap(room + column * (side + gap));
    const y = snap(room * 0.86 + row * (side + gap + label));
    return { head, x, y, side, cell, font, label, large: false, left: words && column === 0, top: words && row === 0 };
  });
  return { places, columns, height };
}

/** What lies under a point: { place, head, query, key }; query and key are -1 on a label. null between the maps. */
export function placeAt(places, n, x, y) {
  for (const place of places) {
    const [column, row] = [Math.floor((x - place.x) / place.cell), Math.floor((y - place.y) / place.cell)];
    if (column < 0 || column >= n || row < 0 || y >= place.y + place.side + place.label) continue;
    const onMap = row < n;
    return { place, head: place.head, query: onMap ? row : -1, key: onMap ? column : -1 };
  }
  return null;
}

// ----------------------------------------------------------------------------------------------------------------- page

const NO_ANSWER =
  "The kernel has not answered yet: it is busy or not running. Your sentence stays here, and its maps appear when the answer comes.";
const ANSWER_WITHIN = 5000; // ms

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
  const recorded = model.get("source") === "recorded";
  const colours = colourTable(model.get("_colours"));
  const rgb = (index) => `rgb(${colours[4 * index]}, ${colours[4 * index + 1]}, ${colours[4 * index + 2]})`;

  // ------------------------------------------------------------------------------------------------------------ elements
  const sentenceMenu = element("select", { className: "mha-heads-sentences" });
  const layer = slider(model.get("num_layers"));
  const counts = recorded ? [] : divisors(model.get("d_model"));
  const headCount = slider(counts.length);
  const causal = element("input", { type: "checkbox" });
  const stretch = element("input", { type: "checkbox" });
  const barEnd = element("span");
  const bar = element("span", { className: "mha-heads-bar" });
  bar.style.background = `linear-gradient(to right, ${model.get("_colours").map(([at, hex]) => `${hex} ${(at / 255) * 100}%`)})`;
  const maskKey = element("span", { className: "mha-heads-masked" }, element("i"), "masked");

  const input = element("input", { type: "text", spellcheck: false, placeholder: "or type your own" });
  input.setAttribute("aria-label", "your own sentence");
  const message = element("p", { className: "mha-heads-message", role: "status" });
  const form = element(
    "form",
    { className: "mha-heads-form" },
    input,
    element("button", { type: "submit" }, "Show its heads"),
  );

  const facts = element("div", { className: "mha-heads-facts" });
  const readout = element("p", { className: "mha-heads-readout", "aria-live": "polite" });
  const maps = element("canvas");
  const marks = element("canvas");
  const stage = element("div", { className: "mha-heads-stage", tabIndex: 0, role: "application" }, maps, marks);
  const legend = element("p", { className: "mha-heads-legend" });
  legend.append(
    "each ",
    element("span", { className: "mha-heads-query" }, "row"),
    " is a word that looks (query), each ",
    element("span", { className: "mha-heads-key" }, "column"),
    " a word it looks at (key); a row's weights sum to 1",
  );

  const scale = element(
    "span",
    { className: "mha-heads-scale" },
    maskKey,
    "weight 0",
    bar,
    barEnd,
    field("", stretch, "stretch"),
  );
  const line = (...parts) => element("div", { className: "mha-heads-line" }, ...parts);
  const root = element("div", { className: "mha mha-heads", "data-lm-suppress-shortcuts": "true" });
  if (recorded) root.append(line(field("Sentence", sentenceMenu), form), message);
  if (recorded) root.append(line(...(layer.max > 0 ? [field("Layer", layer, layer.text)] : []), scale));
  else root.append(line(field("Heads", headCount, headCount.text), field("", causal, "causal mask"), scale), facts);
  const change = changer(model);
  const timings = recorded ? null : timingsPanel({ model, change });
  if (timings) root.append(timings.node);
  root.append(readout, stage, legend);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  const recordings = () => [...model.get("_recordings"), ...model.get("_typed")];

  let known = { key: null };
  /** The maps of the present state, computed when a trait that moves them has changed. */
  function present() {
    const names = ["sentence", "layer", "num_heads", "causal"];
    const key = JSON.stringify([names.map((name) => model.get(name)), recorded && recordings().length]);
    if (known.key === key) return known;
    const heads = model.get("num_heads");
    const source = recorded
      ? (recordings().find((r) => r.sentence === model.get("sentence")) ?? recordings()[0])
      : null;
    const tokens = recorded ? source.tokens : model.get("tokens");
    const n = tokens.length;
    const mask = decoded(recorded ? source.mask : model.get("_mask"), Uint8Array);
    const allowed = allowedCells(n, mask, model.get("causal"));
    const weights = recorded
      ? layerMaps(decoded(source.weights, Uint16Array), model.get("layer"), heads, n)
      : headMaps(
          decoded(model.get("_query"), Float32Array),
          decoded(model.get("_key"), Float32Array),
          n,
          model.get("d_model"),
          heads,
          allowed,
        );
    const largest = Array.from({ length: heads }, (_, h) => largestOf(weights.subarray(h * n * n, (h + 1) * n * n)));
    known = { key, heads, tokens, words: shownWords(tokens), n, allowed, weights, largest };
    return known;
  }

  const cellIndex = ({ n }, [head, query, key]) => (head * n + query) * n + key;

  // ------------------------------------------------------------------------------------------------------------- drawing
  let layout = null;
  let focused = false;
  const schedule = scheduler(draw);

  function draw() {
    const width = Math.floor(stage.clientWidth);
    if (width === 0) return; // scrolled away: the observers call again
    const now = present();
    const ink = inks();
    showControls(now);
    const unit = 1 / devicePixelRatio;
    const measure = maps.getContext("2d");
    measure.font = `12px ${ink.family}`;
    const wordRoom = Math.min(84, Math.max(...now.words.map((word) => measure.measureText(word).width)));
    layout = arrange({ heads: now.heads, n: now.n, width, pinned: model.get("pinned"), wordRoom, unit });
    stage.style.height = `${layout.height}px`;
    stage.places = layout.places; // where a script on the page, or a test, finds the maps
    drawMaps(sized(maps, width, layout.height), now, ink);
    drawMarks(now, ink);
    countDrawing(root);
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
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  function drawMaps(context, now, ink) {
    const { atlas, across } = paintAtlas(now);
    const covers = new Map();
    context.imageSmoothingEnabled = false;
    for (const place of layout.places) {
      const { head, x, y, side } = place;
      context.drawImage(
        atlas,
        (head % across) * now.n,
        Math.floor(head / across) * now.n,
        now.n,
        now.n,
        x,
        y,
        side,
        side,
      );
      if (!covers.has(side)) covers.set(side, paintCover(place, now, ink));
      context.drawImage(covers.get(side), x, y, side, side);
      if (place.cell >= NUMBER_CELL) writeNumbers(context, place, now, ink);
      writeWords(context, place, now, ink);
      writeLabel(context, place, now, ink);
    }
    if (layout.empty) drawEmptySlot(context, layout.empty, ink);
  }

  function drawEmptySlot(context, { x, y, side }, ink) {
    context.strokeStyle = ink.line;
    context.setLineDash([6, 6]);
    context.strokeRect(x, y, side, side);
    context.setLineDash([]);
    context.font = `14px ${ink.family}`;
    context.fillStyle = ink.muted;
    context.textAlign = "center";
    context.fillText("click a second head to compare", x + side / 2, y + side / 2);
  }

  /** One pixel a cell, all heads in one picture: the maps are enlargements of its parts. */
  function paintAtlas({ heads, n, weights, allowed, largest }) {
    const across = Math.ceil(Math.sqrt(heads));
    const atlas = element("canvas", { width: across * n, height: Math.ceil(heads / across) * n });
    const context = atlas.getContext("2d");
    const image = context.createImageData(atlas.width, atlas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const table = new Uint32Array(colours.buffer);
    const stretched = model.get("stretch");
    for (let h = 0; h < heads; h++) {
      const gain = stretched && largest[h] > 0 ? 255 / largest[h] : 255;
      const corner = Math.floor(h / across) * n * atlas.width + (h % across) * n;
      for (let cell = 0; cell < n * n; cell++) {
        if (allowed && !allowed[cell]) continue; // stays transparent
        pixels[corner + Math.floor(cell / n) * atlas.width + (cell % n)] =
          table[Math.round(weights[h * n * n + cell] * gain)];
      }
    }
    context.putImageData(image, 0, 0);
    return { atlas, across };
  }

  /** What lies over every map of one size: hatching on masked cells, thin lines between large ones. */
  function paintCover({ side, cell }, { n, allowed }, ink) {
    const cover = element("canvas");
    const context = sized(cover, side, side);
    if (allowed) {
      const masked = new Path2D();
      allowed.forEach(
        (seen, index) => seen || masked.rect((index % n) * cell, Math.floor(index / n) * cell, cell, cell),
      );
      context.save();
      context.clip(masked);
      context.strokeStyle = ink.line;
      context.lineWidth = cell >= 6 ? 1 : 0.5;
      const step = Math.max(3, Math.min(7, cell / 2));
      context.beginPath();
      for (let d = step / 2; d < 2 * side; d += step) {
        context.moveTo(d, 0);
        context.lineTo(0, d);
      }
      context.stroke();
      context.restore();
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

  function writeNumbers(context, { head, x, y, cell }, now, ink) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${Math.min(13, cell * 0.36)}px ${ink.family}`;
    for (let index = 0; index < now.n * now.n; index++) {
      if (now.allowed && !now.allowed[index]) continue;
      const weight = now.weights[head * now.n * now.n + index];
      if (weight < 0.005) continue; // a field of 0.00 hides the others
      const shade = model.get("stretch") ? weight / (now.largest[head] || 1) : weight;
      context.fillStyle = shade < 0.5 ? "#fff" : "#000";
      context.fillText(
        weight.toFixed(2),
        x + ((index % now.n) + 0.5) * cell,
        y + (Math.floor(index / now.n) + 0.5) * cell,
      );
    }
  }

  function writeWords(context, { x, y, cell, font, left, top }, { words }, ink) {
    if (!left && !top) return;
    context.font = `${font}px ${ink.family}`;
    context.fillStyle = ink.ink;
    context.textBaseline = "middle";
    const room = 84 * (font / 12);
    words.forEach((word, i) => {
      const text = clipped(context, word, room);
      const middle = (i + 0.5) * cell;
      context.textAlign = "right";
      if (left) context.fillText(text, x - 5, y + middle);
      if (!top) return;
      context.save();
      context.translate(x + middle, y - 5);
      context.rotate(-Math.PI / 3);
      context.textAlign = "left";
      context.fillText(text, 0, 0);
      context.restore();
    });
  }

  function clipped(context, word, room) {
    if (context.measureText(word).width <= room) return word;
    const letters = [...word];
    while (letters.length > 1 && context.measureText(`${letters.join("")}…`).width > room) letters.pop();
    return `${letters.join("")}…`;
  }

  function writeLabel(context, place, now, ink) {
    if (!place.label) return;
    const { head, x, y, side, large } = place;
    const share = model.get("stretch") ? ` · max ${now.largest[head].toFixed(2)}` : "";
    const [short, long] = [String(head), `head ${head}${share}`];
    context.font = `${large ? "600 14px" : place.label > 14 ? "12px" : "10px"} ${ink.family}`;
    context.fillStyle = large ? ink.ink : ink.muted;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    const text = [long, `head ${head}`, short].find((t) => context.measureText(t).width <= side) ?? short;
    // Below the map: the words have the place above it.
    context.fillText(text, x + side / 2, y + side + place.label - 4);
  }

  /** Outlines that follow the pointer: the same cell in every head, the current head, the pinned ones. */
  function drawMarks(now, ink) {
    const context = sized(marks, stage.clientWidth, layout.height);
    const frameOf = ({ x, y, side }, colour, thick) => {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.strokeRect(x - thick / 2 - 1, y - thick / 2 - 1, side + thick + 2, side + thick + 2);
    };
    for (const place of layout.places) {
      if (place.large) continue;
      if (model.get("pinned").includes(place.head)) frameOf(place, ink.ink, 2);
      if (focused && place.head === model.get("head")) frameOf(place, ink.brand, 2);
    }
    const cell = hoveredCell(now);
    if (!cell) return;
    const [head, query, key] = cell;
    for (const place of layout.places) {
      const [x, y] = [place.x + key * place.cell, place.y + query * place.cell];
      const thick = place.cell >= 12 ? 2 : 1;
      context.lineWidth = thick;
      context.strokeStyle = "#000";
      context.strokeRect(x - thick, y - thick, place.cell + 2 * thick, place.cell + 2 * thick);
      context.strokeStyle = "#fff";
      context.strokeRect(x, y, place.cell, place.cell);
    }
    const large = layout.places.filter((place) => place.large);
    const beside = large.length ? large : layout.places.filter((place) => place.head === head);
    for (const place of beside) {
      chip(context, now.words[query], place.x - 3, place.y + (query + 0.5) * place.cell, "right", ink.query, ink);
      chip(context, now.words[key], place.x + (key + 0.5) * place.cell, place.y - 13, "center", ink.key, ink);
    }
  }

  /** A word on a small plate: it says which row or column the pointer is on. */
  function chip(context, whole, x, y, align, colour, ink) {
    context.font = `600 13px ${ink.family}`;
    const word = clipped(context, whole, 180);
    const width = context.measureText(word).width + 10;
    const wanted = align === "right" ? x - width : x - width / 2;
    const left = Math.max(1, Math.min(wanted, stage.clientWidth - width - 1));
    context.beginPath();
    context.roundRect(left, y - 10, width, 20, 4);
    context.fillStyle = ink.page;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.stroke();
    context.fillStyle = ink.ink;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(word, left + 5, y + 0.5);
  }

  // ---------------------------------------------------------------------------------------------------------------- words
  function hoveredCell({ heads, n }) {
    const cell = model.get("hovered");
    return cell.length === 3 && cell[0] < heads && cell[1] < n && cell[2] < n ? cell : null;
  }

  function showReadout(now) {
    const cell = hoveredCell(now);
    if (!cell) {
      const pins = model.get("pinned").length;
      const action = pins
        ? "Click a second head to compare; click a head again (or Esc) to put it back."
        : "Click a head to enlarge it.";
      readout.textContent = focused
        ? `head ${model.get("head")}: Enter enlarges it`
        : `Point at a cell to read its weight. ${action}`;
      readout.classList.toggle("mha-heads-idle", !focused);
      return;
    }
    const [head, query, key] = cell;
    const seen = !now.allowed || now.allowed[query * now.n + key];
    const weight = now.weights[cellIndex(now, cell)];
    readout.classList.remove("mha-heads-idle");
    readout.replaceChildren(
      `head ${head}: `,
      element("span", { className: "mha-heads-query" }, now.words[query]),
      " → ",
      element("span", { className: "mha-heads-key" }, now.words[key]),
      " ",
      element("b", {}, seen ? weight.toFixed(2) : "masked"),
      ...(seen ? [element("small", {}, weight.toFixed(4))] : []),
    );
  }

  function showControls(now) {
    if (recorded) {
      const sentences = recordings().map((r) => r.sentence);
      if (sentenceMenu.options.length !== sentences.length) {
        sentenceMenu.replaceChildren(...sentences.map((sentence) => element("option", { value: sentence }, sentence)));
      }
      sentenceMenu.value = model.get("sentence");
      layer.show(model.get("layer"), `${model.get("layer")}`);
      if (document.activeElement !== input) input.value = model.get("typed");
      if (!waiting) say(model.get("message") || (model.get("can_read") ? "" : model.get("how_to_read")));
    } else {
      headCount.show(counts.indexOf(now.heads), `${now.heads}`);
      causal.checked = model.get("causal");
      showFacts(now);
      timings.show();
    }
    stretch.checked = model.get("stretch");
    barEnd.textContent = stretch.checked ? "head's largest" : "1";
    maskKey.hidden = !now.allowed;
    stage.setAttribute(
      "aria-label",
      `Attention maps of ${now.heads} heads. Arrow keys choose a head, Enter enlarges it, Escape puts it back.`,
    );
    showReadout(now);
  }

  function showFacts({ heads, n }) {
    const width = model.get("d_model");
    const bias = model.get("bias");
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
    if (!model.get("can_read")) return say(model.get("how_to_read"));
    clearTimeout(waiting);
    waiting = setTimeout(() => say(NO_ANSWER), ANSWER_WITHIN);
    say("Reading …");
    try {
      model.send({ kind: "read", sentence });
    } catch {
      say(NO_ANSWER);
    }
  }

  function answered(content) {
    if (content.kind !== "answered") return;
    stopWaiting();
    schedule();
  }

  function stopWaiting() {
    clearTimeout(waiting);
    waiting = 0;
  }

  function point(event) {
    const box = stage.getBoundingClientRect();
    const found = layout && placeAt(layout.places, known.n, event.clientX - box.left, event.clientY - box.top);
    const cell = found && found.query >= 0 ? [found.head, found.query, found.key] : [];
    stage.style.cursor = found ? "pointer" : "default";
    const pair = cell.slice(1).map((token) => known.words[token]);
    stage.title = pair.some((word) => word.length > LONG) ? pair.join(" → ") : "";
    if (String(cell) !== String(model.get("hovered"))) change({ hovered: cell });
    return found;
  }

  function click(event) {
    const found = point(event);
    // The second click of a double click meets another picture: the first has already rearranged it.
    if (found && event.detail < 2)
      change({ head: found.head, pinned: togglePin(model.get("pinned"), found.head), hovered: [] });
  }

  function press(event) {
    const { heads } = present();
    const head = model.get("head");
    const moves = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -layout.columns,
      ArrowDown: layout.columns,
      Home: -head,
      End: heads - 1 - head,
    };
    if (event.key in moves) {
      const next = head + moves[event.key];
      if (next >= 0 && next < heads) change({ head: next });
    } else if (event.key === "Enter" || event.key === " ") {
      change({ pinned: togglePin(model.get("pinned"), head) });
    } else if (event.key === "Escape") {
      change({ pinned: [], hovered: [] });
    } else {
      return;
    }
    event.preventDefault();
  }

  sentenceMenu.onchange = () => {
    stopWaiting();
    change({ sentence: sentenceMenu.value, message: "" });
  };
  layer.oninput = () => change({ layer: Number(layer.value) });
  headCount.oninput = () => change({ num_heads: counts[Number(headCount.value)] });
  causal.onchange = () => change({ causal: causal.checked });
  stretch.onchange = () => change({ stretch: stretch.checked });
  input.oninput = () => model.set("typed", input.value);
  form.onsubmit = ask;
  stage.onpointermove = point;
  stage.onpointerleave = () => change({ hovered: [] });
  stage.onclick = click;
  stage.onkeydown = press;
  root.onkeydown = (event) => event.stopPropagation(); // the notebook would move on with the arrow keys
  stage.onfocus = () => ((focused = stage.matches(":focus-visible")), schedule());
  stage.onblur = () => ((focused = false), schedule());

  // ------------------------------------------------------------------------------------------------- redraw, and clean up
  const ends = [watch(model, ["sentence", "layer", "num_heads", "causal", "stretch", "pinned", "head", "_typed", "typed", "message"], schedule)];
  const moved = () => {
    if (!layout || stage.clientWidth === 0 || schedule.pending) return; // a whole redraw is coming
    const now = present();
    drawMarks(now, inks());
    showReadout(now);
  };
  ends.push(watch(model, ["hovered"], moved));
  model.on("msg:custom", answered);
  const resized = new ResizeObserver(schedule);
  try {
    resized.observe(stage, { box: "device-pixel-content-box" }); // a finer screen changes this size alone
  } catch {
    resized.observe(stage); // Safari does not know that box
  }
  const scrolled = new IntersectionObserver(schedule); // JupyterLab blanks what is scrolled away
  scrolled.observe(stage);
  const themed = new MutationObserver(schedule);
  themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
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

function field(label, ...parts) {
  return element("label", {}, ...(label ? [label] : []), ...parts);
}

export default { initialize, render };
