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
  const names = drawn("g", named("names"));
  svg.append(axes, cloud, names);
  /** @type {Map<string, SVGCircleElement>} */
  const circles = new Map();
  /** @type {Plot} */
  let plot;

  /** Axes and dots. @param {Plot} now @param {number} width @param {number} height */
  const paint = (now, width, height) => {
    plot = now;
    for (const [name, size] of Object.entries({ width, height })) svg.setAttribute(name, String(size));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    axes.replaceChildren(...axesOf(now));
    const there = new Set(now.dots.map(({ name }) => name));
    for (const [name, circle] of circles) if (!there.has(name)) circle.remove();
    for (const { name, x, y } of now.dots) {
      const circle = circles.get(name) ?? drawn("circle", { r: RADIUS });
      circles.set(name, circle);
      circle.setAttribute("cx", fixed(x));
      circle.setAttribute("cy", fixed(y));
    }
  };
  /** Which dots are lit, open and pointed at: those lie on top. @param {State} state */
  const mark = (state) => {
    svg.setAttribute("aria-label", plotLabel(state));
    const lit = new Set(state.rows.map(({ name }) => name));
    const rank = (/** @type {string} */ name) =>
      name === state.pointed?.name ? 3 : name === state.open?.name ? 2 : Number(lit.has(name));
    const order = plot.dots.map(({ name }) => name).sort((a, b) => rank(a) - rank(b));
    for (const name of order) {
      const looks = ["off", "lit", "open", "pointed"][rank(name)];
      const circle = /** @type {SVGCircleElement} */ (circles.get(name));
      circle.setAttribute("class", `mha-models-dot mha-models-${looks}${lit.has(name) ? " mha-models-lit" : ""}`);
    }
    const list = order.map((name) => /** @type {SVGCircleElement} */ (circles.get(name)));
    if (list.some((circle, i) => cloud.children[i] !== circle)) cloud.replaceChildren(...list);
    const shown = [...new Set([state.open, state.pointed])].flatMap((row) => (row ? nameOf(plot, row.name) : []));
    names.replaceChildren(...shown);
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
 * The name beside a dot, on the side where there is more room.
 * @param {Plot} plot
 * @param {string} name
 */
function nameOf({ dots, frame }, name) {
  const dot = dots.find((one) => one.name === name);
  if (!dot) return [];
  const right = dot.x < frame.x + frame.width / 2;
  const place = { x: fixed(dot.x + (right ? ASIDE : -ASIDE)), y: fixed(dot.y + 4) };
  return [drawn("text", { ...place, "text-anchor": right ? "start" : "end" }, name)];
}
