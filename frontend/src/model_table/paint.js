// @ts-check
// The plot: a dot for every model, at two of its numbers. Its dots are kept; other axes and another width only move them.

import { drawn } from "../shared/dom.js";
import { RADIUS } from "./layout.js";
import { plotLabel } from "./speech.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./layout.js").Plot} Plot */

const fixed = (/** @type {number} */ number) => number.toFixed(1);
const named = (/** @type {string} */ name) => ({ class: `mha-models-${name}` });
const HIGH = 12; // pixels of a letter
const ASIDE = RADIUS + 5; // from a dot to its name

/**
 * @param {SVGSVGElement} svg
 */
export function plotting(svg) {
  const axes = drawn("g", named("axes"));
  const cloud = drawn("g");
  const marks = drawn("g", named("names"));
  svg.append(axes, cloud, marks);
  /** @type {Map<string, SVGCircleElement>} */
  const circles = new Map();
  /** @type {Plot} */
  let plot;
  let marked = "";

  /** Axes and dots: those that answer are lit, and lie on the others. @param {Plot} now @param {State} state @param {number} width @param {number} height */
  const paint = (now, state, width, height) => {
    [plot, marked] = [now, ""];
    for (const [name, size] of Object.entries({ width, height })) svg.setAttribute(name, String(size));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-label", plotLabel(state));
    axes.replaceChildren(...axesOf(now));
    const lit = new Set(state.rows.map(({ name }) => name));
    const order = [...now.dots].sort((a, b) => Number(lit.has(a.name)) - Number(lit.has(b.name)));
    const list = order.map(({ name, x, y }) => {
      const circle = circles.get(name) ?? drawn("circle", { r: RADIUS });
      circles.set(name, circle);
      circle.setAttribute("cx", fixed(x));
      circle.setAttribute("cy", fixed(y));
      circle.setAttribute("class", `mha-models-dot${lit.has(name) ? " mha-models-lit" : ""}`);
      return circle;
    });
    if (cloud.children.length !== list.length || list.some((circle, i) => cloud.children[i] !== circle)) {
      cloud.replaceChildren(...list);
    }
  };
  /** A ring and a name for the open model, and for the one that is pointed at. @param {State} state */
  const mark = ({ open, pointed }) => {
    const names = [...new Set([open?.name, pointed?.name])];
    if (names.join("\n") === marked) return;
    marked = names.join("\n");
    const kinds = names.map((name) => (name === pointed?.name ? "pointed" : "open"));
    marks.replaceChildren(...names.flatMap((name, i) => (name ? markOf(plot, name, kinds[i]) : [])));
  };
  return { paint, mark };
}

/** Grid and numbers; what they count stands in the menus above. @param {Plot} plot */
function axesOf({ frame, ticksAcross, ticksUp }) {
  const bottom = frame.y + frame.height;
  const grid = [
    ...ticksUp.map(({ at }) => `M${frame.x} ${fixed(at)}h${frame.width}`),
    ...ticksAcross.map(({ at }) => `M${fixed(at)} ${frame.y}v${frame.height}`),
  ];
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, anchor = "middle") =>
    drawn("text", { x: fixed(x), y: fixed(y), "text-anchor": anchor }, words);
  return [
    drawn("path", { d: grid.join("") }),
    ...ticksAcross.map(({ at, words }) => text(at, bottom + HIGH + 3, words)),
    ...ticksUp.map(({ at, words }) => text(frame.x - 6, at + 4, words, "end")),
  ];
}

/**
 * A ring around a dot, and its name on the side where there is more room.
 * @param {Plot} plot
 * @param {string} name
 * @param {string} kind
 */
function markOf({ dots, frame }, name, kind) {
  const dot = dots.find((one) => one.name === name);
  if (!dot) return [];
  const right = dot.x < frame.x + frame.width / 2;
  const place = { x: fixed(dot.x + (right ? ASIDE : -ASIDE)), y: fixed(dot.y + 4) };
  return [
    drawn("circle", { cx: fixed(dot.x), cy: fixed(dot.y), r: RADIUS + 1, class: `mha-models-ring mha-models-${kind}` }),
    drawn("text", { ...place, "text-anchor": right ? "start" : "end" }, name),
  ];
}
