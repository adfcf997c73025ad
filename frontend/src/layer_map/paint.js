// @ts-check
// The drawing as SVG, from the layout and the state. Colours are classes (style.css), so that a theme needs no drawing.

import { drawn } from "../shared/dom.js";
import { plural } from "../shared/numbers.js";
import { arrowsOf } from "./arrows.js";
import { partLabel } from "./speech.js";
import { bytesInWords, inWords, tuple } from "./state.js";

/**
 * @typedef {import("./layout.js").Layout} Layout
 * @typedef {import("./layout.js").Placed} Placed
 * @typedef {import("./layout.js").Block} Block
 * @typedef {import("./layout.js").Place} Place
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Counted} Counted
 */

/** What has which colour; all else is grey. @type {Record<string, string[]>} */
const HUES = {
  query: ["query"],
  key: ["key"],
  value: ["value"],
  cache: ["key", "value"],
  average: ["value"],
  concat: ["value"],
  output: ["output"],
};
const MATRICES = { query: "W^Q", key: "W^K", value: "W^V", output: "W^O" };

const fixed = (/** @type {number} */ number) => number.toFixed(1);
const named = (/** @type {string} */ name) => ({ class: `mha-layer-${name}` });
const boxed = (/** @type {import("./layout.js").Box} */ { x, y, w, h }, /** @type {string} */ name, more = {}) =>
  drawn("rect", { x: fixed(x), y: fixed(y), width: fixed(w), height: fixed(h), ...named(name), ...more });
const written = (/** @type {Place} */ { x, y, anchor }, /** @type {string} */ words, /** @type {string} */ name) =>
  drawn("text", { x: fixed(x), y: fixed(y), "text-anchor": anchor, ...named(name) }, words);

/**
 * A drawing that keeps the element of each part, and with it the keyboard's focus.
 * @param {SVGSVGElement} svg
 */
export function painting(svg) {
  const arrows = drawn("g", named("arrows"));
  const totals = drawn("g", named("totals"));
  const flow = drawn("g", { role: "group", "aria-label": "parts of the layer, in the order of the flow" });
  svg.append(flow, arrows, totals); // a lit part hides no arrow
  /** @type {Map<string, SVGGElement>} */
  const groups = new Map();
  const groupOf = (/** @type {string} */ name) => {
    const group = groups.get(name) ?? drawn("g", { "data-part": name, role: "button", tabindex: -1 });
    groups.set(name, group);
    return group;
  };
  return {
    /** @param {Layout} layout @param {State} state */
    paint(layout, state) {
      for (const [name, size] of /** @type {const} */ ([
        ["width", layout.width],
        ["height", layout.height],
      ])) {
        svg.setAttribute(name, String(size)); // biome-ignore format: two
      }
      svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
      arrows.replaceChildren(...arrowsOf(layout, state.mode).map(arrow));
      totals.replaceChildren(...totalsWritten(layout, state));
      for (const part of state.flow) {
        const group = groupOf(part.name);
        group.replaceChildren(...partDrawn(part, layout.parts[part.name], state));
        group.setAttribute("aria-label", partLabel(part));
        flow.append(group);
      }
      for (const [name, group] of groups) if (!layout.parts[name]) group.remove();
    },
    /** Which parts are lit, shown and pinned, and which one Tab reaches. @param {State} state */
    mark({ flow: parts, lit, shown, pinned, whole }) {
      const reached = shown === whole ? parts[0].name : shown.name;
      for (const [name, group] of groups) {
        const is = { lit: lit.includes(name), shown: shown.name === name, pinned: pinned === name };
        const names = Object.entries(is).flatMap(([state, on]) => (on ? [` mha-layer-${state}`] : []));
        group.setAttribute("class", `mha-layer-part${names.join("")}`);
        group.setAttribute("aria-pressed", String(is.pinned));
        group.setAttribute("tabindex", name === reached ? "0" : "-1");
      }
    },
    /** @param {string} name */
    focus: (name) => groups.get(name)?.focus(),
  };
}

/** @param {[number, number][]} corners */
function arrow(corners) {
  const [[x0, y0], [x, y]] = corners.slice(-2);
  const [dx, dy] = [Math.sign(x - x0), Math.sign(y - y0)];
  const head = `M${fixed(x)} ${fixed(y)}l${-7 * dx - 3.5 * dy} ${-7 * dy - 3.5 * dx}l${7 * dy} ${7 * dx}z`;
  return drawn(
    "g",
    {},
    drawn("path", { d: `M${corners.map((corner) => corner.map(fixed).join(" ")).join("L")}`, ...named("way") }),
    drawn("path", { d: head, ...named("head") }),
  );
}

/** What belongs to one part. */
function partDrawn(/** @type {Counted} */ part, /** @type {Placed} */ place, /** @type {State} */ state) {
  const hues = HUES[part.name] ?? ["other"];
  const nodes = [boxed(place.hit, "hit", { rx: 6 })];
  /** @type {Element[]} */
  const more = place.blocks.flatMap((block, i) => blockDrawn(part.name, block, hues[i] ?? hues[0], state));
  if (place.weights) {
    const { x, y, w, h } = place.weights;
    more.push(boxed(place.weights, "matrix", { "data-hue": hues[0], rx: 3 }));
    const words = MATRICES[/** @type {keyof typeof MATRICES} */ (part.name)];
    more.push(written({ x: x + w / 2, y: y + h / 2 + 4, anchor: "middle" }, words, "title"));
  }
  more.push(written(place.title, titleOf(part, state), "title"));
  if (place.letters) more.push(written(place.letters, part.letters, "letters"));
  if (place.numbers) more.push(written(place.numbers, tuple(part.shape), "numbers"));
  return [...nodes, ...more];
}

/** The frame of the heads says how many there are. */
function titleOf(/** @type {Counted} */ part, /** @type {State} */ { sizes: { H, R, K } }) {
  if (part.name !== "split") return part.label;
  const heads = `${plural(H, "head")} of ${K}`;
  return R > 1 ? `${heads}, ${R} to a key` : heads;
}

/** A block: sheets behind it, then itself with its stripes, hatched where a mask hides. */
function blockDrawn(
  /** @type {string} */ name,
  /** @type {Block} */ { box, stripes, sheets },
  /** @type {string} */ hue,
  /** @type {State} */ { mode, sizes },
) {
  const nodes = [];
  for (let i = sheets - 1; i >= 0; i--) {
    nodes.push(boxed({ ...box, x: box.x + 3 * i, y: box.y - 3 * i }, "block", { "data-hue": hue }));
  }
  if (stripes > 1) nodes.push(drawn("path", { d: striped(box, stripes), ...named("stripes") }));
  if (name === "query" && sizes.R > 1 && stripes === sizes.H) {
    nodes.push(drawn("path", { d: striped(box, sizes.G), ...named("groups") }));
  }
  if (name === "mask" || (mode === "causal" && (name === "scores" || name === "softmax"))) nodes.push(hidden(box));
  return nodes;
}

/** Lines between heads. */
function striped(/** @type {import("./layout.js").Box} */ { x, y, w, h }, /** @type {number} */ count) {
  return Array.from(
    { length: count - 1 },
    (_, i) => `M${fixed(x + (w * (i + 1)) / count)} ${fixed(y)}v${fixed(h)}`,
  ).join("");
}

/** The upper right half, where keys are later than their query: hatched. */
function hidden(/** @type {import("./layout.js").Box} */ { x, y, w, h }) {
  const steps = Math.max(4, Math.floor(w / 3));
  const lines = Array.from({ length: steps - 1 }, (_, i) => {
    const sum = (2 * (i + 1)) / steps; // of the shares along and down: the same on a line from the diagonal to an edge
    const [along, down] = sum < 1 ? [sum, 0] : [1, sum - 1];
    return `M${fixed(x + (w * sum) / 2)} ${fixed(y + (h * sum) / 2)}L${fixed(x + w * along)} ${fixed(y + h * down)}`;
  });
  const edge = `M${fixed(x)} ${fixed(y)}l${fixed(w)} ${fixed(h)}v${fixed(-h)}z`;
  return drawn(
    "g",
    {},
    drawn("path", { d: edge, ...named("hidden") }),
    drawn("path", { d: lines.join(""), ...named("hatch") }),
  );
}

/** What the whole layer learns and computes, in large letters. */
function totalsWritten(/** @type {Layout} */ { totals }, /** @type {State} */ { whole, mode }) {
  const rows = [
    ["parameters", inWords(whole.parameters)],
    ["FLOPs", inWords(whole.flops)],
  ];
  if (mode === "cache") rows.push(["cache", bytesInWords(whole.bytes)]);
  return rows.flatMap(([name, words], i) => [
    written({ ...totals[i], anchor: "start" }, name, "letters"),
    written({ x: totals[i].x, y: totals[i].y + 20, anchor: "start" }, words, "total"),
  ]);
}
