// @ts-check
// The picture: slow memory with the whole Q, K, V and O around the scores, of which only the present tile is anywhere.

import { drawn } from "../shared/dom.js";
import { clipped } from "../shared/words.js";
import { tilesOf } from "./state.js";
import { shade } from "./tints.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./layout.js").Box} Box */
/** @typedef {import("./state.js").State} State */

const LETTER = 6.7; // pixels, of 12 px letters
const name = (/** @type {string} */ words) => ({ class: `mha-tiles-${words}` });
const rect = (/** @type {Box} */ { x, y, w, h }, /** @type {string} */ kind, more = {}) =>
  drawn("rect", { x, y, width: w, height: h, ...name(kind), ...more });
const words = (
  /** @type {number} */ x,
  /** @type {number} */ y,
  /** @type {string} */ text,
  /** @type {string} */ kind,
  more = {},
) => drawn("text", { x, y, ...name(kind), ...more }, text);
const boxPath = (/** @type {Box} */ { x, y, w, h }) => `M${x} ${y}h${w}v${h}h${-w}z`;

/** A picture of slow memory: paint(layout, state), and mark(layout, state) for what is read alone. */
export function painting() {
  const svg = drawn("svg", { ...name("drawing"), role: "img" });
  const body = drawn("g");
  const marks = drawn("g", name("marks"));
  svg.append(body, marks);
  return {
    svg,
    /** @param {Layout} layout @param {State} state */
    paint(layout, state) {
      svg.setAttribute("width", String(layout.width));
      svg.setAttribute("height", String(layout.height));
      body.replaceChildren(...strips(layout, state), ...matrix(layout, state), ...rowWords(layout, state));
    },
    /** @param {Layout} layout @param {State} state */
    mark({ scores, cell, output }, { row, column }) {
      const y = scores.y + row * cell;
      const band = rect({ x: 1, y, w: output.x + output.w - 1, h: cell }, "row");
      const place = { x: scores.x + column * cell, y, w: cell, h: cell };
      marks.replaceChildren(band, ...(column < 0 ? [] : [rect(place, "cell")]));
    },
  };
}

const STRIPE = 6; // pixels between two, all over the picture

/** Stripes: what is nowhere stored. */
function stripes(/** @type {Box[]} */ boxes) {
  const lines = boxes.flatMap(({ x, y, w, h }) => {
    const [from, to] = [Math.floor((x + y) / STRIPE) + 1, Math.ceil((x + w + y + h) / STRIPE)];
    return Array.from({ length: to - from }, (_, i) => {
      const sum = (from + i) * STRIPE; // x + y on this stripe
      const [left, right] = [Math.max(x, sum - y - h), Math.min(x + w, sum - y)];
      return `M${left} ${sum - left}L${right} ${sum - right}`;
    });
  });
  return drawn("path", { d: lines.join(""), ...name("stripes") });
}

/** Q, K, V and O, row by row; the blocks whose copies are in fast memory are filled. */
function strips(/** @type {Layout} */ layout, /** @type {State} */ { present, trace, step, N }) {
  const { cell } = layout;
  const [first, end, start, stop] = present ? [present.first, present.end, present.start, present.stop] : [0, 0, 0, 0];
  const written = Math.max(0, ...trace.slice(0, step).map((one) => (one.output ? one.end : 0)));
  const down = (/** @type {Box} */ box, from = 0, to = N) => ({
    ...box,
    y: box.y + from * cell,
    h: (to - from) * cell,
  });
  const across = (/** @type {Box} */ box, from = 0, to = N) => ({
    ...box,
    x: box.x + from * cell,
    w: (to - from) * cell,
  });
  const lines = Array.from({ length: N - 1 }, (_, i) => (i + 1) * cell);
  const parts = [];
  for (const [hue, letter, box] of /** @type {[string, string, Box][]} */ ([
    ["query", "Q", down(layout.query, first, end)],
    ["key", "Kᵀ", across(layout.key, start, stop)],
    ["value", "Vᵀ", across(layout.value, start, stop)],
    ["output", "O", down(layout.output, 0, written)],
  ])) {
    const whole = layout[/** @type {"query"} */ (hue)];
    const upright = hue === "query" || hue === "output";
    const ends = lines.map((at) =>
      upright ? `M${whole.x} ${whole.y + at}h${whole.w}` : `M${whole.x + at} ${whole.y}v${whole.h}`,
    );
    parts.push(
      rect(whole, "whole", { "data-hue": hue }),
      rect(box, "copied", { "data-hue": hue }),
      drawn("path", { d: ends.join(""), ...name("parting") }),
      upright
        ? words(whole.x + whole.w / 2, whole.y - 5, letter, "letter", { "text-anchor": "middle" })
        : words(whole.x - 8, whole.y + whole.h / 2 + 5, letter, "letter", { "text-anchor": "end" }),
    );
  }
  return parts;
}

/** The scores: nowhere but in the present tile. */
function matrix(/** @type {Layout} */ layout, /** @type {State} */ state) {
  const { scores, cell } = layout;
  const boxOf = (/** @type {import("./maths.js").Step} */ { first, end, start, stop }) => ({
    x: scores.x + start * cell,
    y: scores.y + first * cell,
    w: (stop - start) * cell,
    h: (end - first) * cell,
  });
  const tiles = tilesOf(state);
  const boxes = (/** @type {string} */ kind) => tiles.filter((tile) => tile.kind === kind).map(boxOf);
  const area = (/** @type {string} */ kind) => drawn("path", { d: boxes(kind).map(boxPath).join(""), ...name(kind) });
  const crosses = boxes("skipped").map(({ x, y, w, h }) => `M${x} ${y}l${w} ${h}M${x + w} ${y}l${-w} ${h}`);
  const below = scores.y + scores.h + 14;
  return [
    area("forgotten"),
    area("skipped"),
    drawn("path", { d: crosses.join(""), ...name("cross") }),
    ...presentCells(state, scores, cell),
    stripes([...boxes("waiting"), ...boxes("forgotten"), ...maskedCells(state, scores, cell)]),
    drawn("path", { d: tiles.map(boxOf).map(boxPath).join(""), ...name("grid") }),
    drawn("path", { d: boxes("present").map(boxPath).join(""), ...name("present") }),
    words(scores.x + scores.w / 2, below, `scores: ${state.N} × ${state.N}, never stored`, "letters", {
      "text-anchor": "middle",
    }),
  ];
}

/** The one tile that is in fast memory, as tints. */
function presentCells(/** @type {State} */ state, /** @type {Box} */ scores, /** @type {number} */ cell) {
  const { present, cells, reach } = state;
  return cellsOf(state, scores, cell, false).map(({ i, at, ...place }) => {
    const box = rect(place, "score mha-data");
    box.style.fill = shade(Number(present?.[cells][i][at]), cells === "scores" ? reach : 1);
    return box;
  });
}

const maskedCells = (/** @type {State} */ state, /** @type {Box} */ scores, /** @type {number} */ cell) =>
  cellsOf(state, scores, cell, true);

/** The cells of the present tile that are masked, or those that are not. */
function cellsOf(
  /** @type {State} */ { present },
  /** @type {Box} */ { x, y },
  /** @type {number} */ cell,
  /** @type {boolean} */ masked,
) {
  const { scores, start, first } = present ?? { scores: [], start: 0, first: 0 };
  const all = scores.flatMap((row, i) => row.map((score, at) => ({ i, at, hidden: score === -Infinity })));
  return all
    .filter(({ hidden }) => hidden === masked)
    .map(({ i, at }) => ({ i, at, x: x + (start + at) * cell, y: y + (first + i) * cell, w: cell, h: cell }));
}

/** The word of each query. */
function rowWords(/** @type {Layout} */ layout, /** @type {State} */ state) {
  const { scores, cell } = layout;
  return state.words.map((word, i) =>
    words(
      layout.words,
      scores.y + (i + 0.5) * cell + 4,
      clipped(word, layout.words - 2, (text) => [...text].length * LETTER),
      "word",
      { "text-anchor": "end" },
    ),
  );
}
