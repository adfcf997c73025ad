// @ts-check
// How much of the screen the maps may take, and where the chart stands.

import { glance as shares, TALL } from "./layout.js";

const STEP = 16; // px; every other height would be another drawing
const MARGIN = 20; // of a cell in a notebook, above and below
const LEAST = 300; // the height of maps that stand alone
const SUMMARY = 40; // the line that is left of closed timings

/**
 * A function that puts the chart where it belongs, and gives the height that is left for the maps.
 * @param {ReturnType<typeof import("./page.js").page>} page
 * @param {import("./state.js").Get} get
 */
export function roomOf({ root, glance, timings, settle }, get) {
  const screen = screenOf(root);
  return () => {
    settle(root.clientWidth);
    const above = glance.getBoundingClientRect().top - root.getBoundingClientRect().top;
    const left = STEP * Math.floor((screen() - above - MARGIN) / STEP);
    if (!timings || !get("timings_open")) {
      glance.dataset.mode = "below";
      return Math.max(LEAST, Math.min(left - (timings ? SUMMARY : 0), TALL));
    }
    const { mode, limit, column, chart } = shares(root.clientWidth, left, timings.charts);
    glance.dataset.mode = mode;
    glance.style.setProperty("--mha-column", `${column}px`);
    timings.place(chart);
    return limit;
  };
}

/**
 * A function that gives the height of what scrolls around a node: JupyterLab's notebook, or the window.
 * @param {HTMLElement} node
 */
function screenOf(node) {
  /** @type {Element | undefined} */
  let outer;
  return () => {
    if (!outer?.isConnected) {
      outer = undefined;
      for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) {
        if (/auto|scroll/.test(getComputedStyle(at).overflowY)) outer = at; // the outputs within it scroll too
      }
    }
    return Math.min(outer?.clientHeight ?? innerHeight, innerHeight);
  };
}
