// @ts-check
// A chart as SVG: axes, curves, measured points with their quartiles, names beside what they name, upright lines.
//
// Its look stands in chart.css. Colours are three hues; dashes and marks tell the same without them.

import { unscale } from "./chart_axes.js";
import { chartLayout } from "./chart_layout.js";
import { ROW } from "./chart_words.js";
import { drawn } from "./dom.js";

/** @typedef {import("./chart_layout.js").Chart} Chart */

/** Around a point: ● ◆ ▲, by hue. */
const MARKS = ["m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "m-5 0l5 -5l5 5l-5 5z", "m-5 4l5 -9l5 9z"];
/** The same in a text. */
export const MARK_LETTERS = ["●", "◆", "▲"];

const path = (/** @type {string} */ d, /** @type {string} */ name, more = {}) =>
  drawn("path", { d, class: `mha-chart-${name}`, ...more });

/** Words at a place; in rows, one below the other. */
function text(
  /** @type {number} */ x,
  /** @type {number} */ y,
  /** @type {string} */ words,
  /** @type {string} */ name,
  more = {},
) {
  return drawn("text", { x: x.toFixed(1), y: y.toFixed(1), class: `mha-chart-${name}`, ...more }, words);
}

/**
 * The chart. `node` is the picture, named by `label` for those who cannot see it; `move(kind, at)` moves an upright line
 * without drawing the rest again; `read(at)` shows a line where one points, and none for null. `valueAt(spot)` is where on
 * the axis across a pointer is, `far(spot)` how many pixels it is from the nearest curve or point.
 * @param {Chart & { label: string }} chart
 */
export function chart(chart) {
  const places = chartLayout(chart);
  const { frame } = places;
  const view = {
    viewBox: `0 0 ${chart.width} ${chart.height}`,
    width: chart.width,
    height: chart.height,
  };
  const node = drawn("svg", {
    ...view,
    class: "mha-chart",
    role: "img",
    "aria-label": chart.label,
  });
  node.append(...axes(chart, places));
  /** @type {Map<string, Element>} */
  const upright = new Map();
  const through = (/** @type {number} */ x) => `M${x.toFixed(1)} ${frame.y}v${frame.height}`;
  const pointed = path("", "read");
  node.append(pointed);
  for (const line of places.lines) {
    const stroke = path(through(line.x), line.kind);
    upright.set(line.kind, stroke);
    node.append(stroke);
    const [x, anchor] = line.before ? [line.x - 5, "end"] : [line.x + 5, "start"];
    if (line.words)
      node.append(
        text(x, line.box.y + 12, line.words, "words", {
          "text-anchor": anchor,
        }),
      );
  }
  for (const series of chart.series) node.append(drawnSeries(series, places));
  for (const { words, hue, box } of places.names) {
    node.append(text(box.x, box.y + 12, words, "name", { "data-hue": hue }));
  }
  for (const note of places.notes) node.append(...remark(note));
  const place = (/** @type {{ clientX: number, clientY: number }} */ { clientX, clientY }) => {
    const box = node.getBoundingClientRect();
    const fine = chart.width / (box.width || 1);
    return [(clientX - box.left) * fine, (clientY - box.top) * fine];
  };
  const back = unscale(chart.across, frame.x, frame.x + frame.width);
  return {
    node,
    move: (/** @type {string} */ kind, /** @type {number} */ at) =>
      upright.get(kind)?.setAttribute("d", through(places.across(at))),
    read: (/** @type {number | null} */ at) => pointed.setAttribute("d", at === null ? "" : through(places.across(at))),
    valueAt: (/** @type {{ clientX: number, clientY: number }} */ spot) => back(place(spot)[0]),
    far(/** @type {{ clientX: number, clientY: number }} */ spot) {
      const [x, y] = place(spot);
      return Math.min(...places.traces.flat().map(([px, py]) => Math.hypot(px - x, py - y)));
    },
  };
}

/** Grid, numbers and titles. */
function axes(
  /** @type {Chart} */ chart,
  /** @type {ReturnType<typeof chartLayout>} */ { frame, across, up, ticksAcross, ticksUp },
) {
  const [right, bottom] = [frame.x + frame.width, frame.y + frame.height];
  const grid = chart.up.ticks.map((tick) => `M${frame.x} ${up(tick).toFixed(1)}H${right}`).join("");
  /** @type {SVGElement[]} */
  const parts = [path(grid, "grid"), path(`M${frame.x} ${bottom}H${right}`, "axis")];
  for (const tick of ticksUp)
    parts.push(
      text(frame.x - 6, up(tick) + 4, chart.up.words(tick), "tick", {
        "text-anchor": "end",
      }),
    );
  for (const tick of ticksAcross) {
    parts.push(
      text(across(tick), bottom + ROW, chart.across.words(tick), "tick", {
        "text-anchor": "middle",
      }),
    );
  }
  if (chart.up.title) parts.push(text(2, 12, chart.up.title, "title"));
  if (chart.across.title) {
    parts.push(
      text(frame.x + frame.width / 2, chart.height - 4, chart.across.title, "title", { "text-anchor": "middle" }),
    );
  }
  return parts;
}

/** Curve, line through the points, quartiles and marks of one series. */
function drawnSeries(
  /** @type {import("./chart_layout.js").Series} */ series,
  /** @type {ReturnType<typeof chartLayout>} */ { across, up },
) {
  const { curve = [], points = [], hue } = series;
  const at = (/** @type {number} */ x, /** @type {number} */ y) => `${across(x).toFixed(1)} ${up(y).toFixed(1)}`;
  const through = (/** @type {[number, number][]} */ places) => `M${places.map(([x, y]) => at(x, y)).join("L")}`;
  const group = drawn("g", { "data-hue": hue, "data-name": series.name });
  if (curve.length) group.append(path(through(curve), "curve", series.dash ? { "stroke-dasharray": series.dash } : {}));
  if (series.joined && points.length) group.append(path(through(points.map(({ x, y }) => [x, y])), "joined"));
  const bars = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  if (bars.length) {
    const ends = bars.map(({ x, low, high }) => `M${at(x, Number(low))}L${at(x, Number(high))}`);
    group.append(path(ends.join(""), "quartiles"));
  }
  for (const { x, y } of points) group.append(path(`M${at(x, y)}${MARKS[hue - 1]}`, "point"));
  return group;
}

/** A remark's words, and the line from its nearer edge to the place that it is about. */
function remark(
  /** @type {{ at: [number, number], rows: string[], box: import("./chart_words.js").Box }} */ {
    at: [x, y],
    rows,
    box,
  },
) {
  const edge = box.y > y ? box.y : box.y + box.height;
  const middle = Math.max(box.x, Math.min(x, box.x + box.width));
  const letters = rows.map((row, i) => text(box.x, box.y + 12 + ROW * i, row, "words"));
  return [path(`M${middle.toFixed(1)} ${edge.toFixed(1)}L${x.toFixed(1)} ${y.toFixed(1)}`, "leader"), ...letters];
}
