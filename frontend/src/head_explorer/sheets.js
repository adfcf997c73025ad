// @ts-check
// Drawings and the maps behind them, of the last few states.

import { element } from "../shared/dom.js";
import { contextOf, pen } from "./canvas.js";
import { kept } from "./kept.js";
import { arrange } from "./layout.js";
import { overview, withLines } from "./other_layouts.js";
import { allMaps, recordings, withoutHidden } from "./state.js";
import { WORD_ROOM } from "./writing.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./state.js").All} All
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./paint.js").Sheet} Sheet
 */

const MOST_WRITTEN = 128; // words; the cells of more are too small for any
const LONGEST = 64; // letters; no word has room for more

/**
 * A function that gives the drawing of a state, begun where there is none.
 * @param {ReturnType<typeof import("./arrivals.js").inflation>} inflation
 * @param {ReturnType<typeof import("./arrivals.js").exactWeights>} exact
 */
export function sheets(inflation, exact) {
  const wholeOf = kept(allMaps);
  const sheetOf = kept(newSheet);
  return (/** @type {Get} */ get, /** @type {Look} */ look, /** @type {number} */ limit) => {
    const own = ["causal", "window", "shuffle", "num_kv_heads"].map((name) => get(/** @type {"window"} */ (name)));
    const all = get("view") === "overview";
    const here = get("source") === "projection" || all ? null : exact.here(get);
    const which = [get("sentence"), all ? "all" : get("layer"), get("num_heads"), recordings(get).length];
    const moving = [...which, own, here?.first, here?.end];
    const whole = wholeOf(moving, get, inflation.bytes(get), here);
    const { width, ratio, ink, stretch } = look;
    const lines = get("view") === "lines" ? [get("head")] : null;
    const pinned = lines ?? (all ? [] : get("pinned"));
    const key = [moving, get("hidden"), pinned, get("view"), limit, width, ratio, ink, stretch];
    return sheetOf(key, whole, get("hidden"), { pinned, lines: lines !== null, limit }, look);
  };
}

/**
 * @param {All} all
 * @param {string[]} hidden
 * @param {{ pinned: number[], lines: boolean, limit: number }} wanted
 * @param {Look} look
 * @returns {Sheet}
 */
function newSheet(all, hidden, { pinned, lines, limit }, look) {
  const shown = withoutHidden(all, hidden);
  const canvas = element("canvas");
  const ctx = contextOf(canvas);
  pen(ctx, look, "12px");
  const written = [...new Set([...shown.words, ...shown.keys])].slice(0, MOST_WRITTEN);
  const wide = written.map((word) => ctx.measureText(word.slice(0, LONGEST)).width);
  const wordRoom = Math.min(WORD_ROOM, Math.max(...wide));
  const { heads, layers, n, s } = shown;
  const given = { heads, n, s, width: look.width, limit, pinned, wordRoom, unit: 1 / look.ratio };
  const layout = layers > 1 ? overview({ ...given, layers }) : lines ? withLines(given) : arrange(given);
  return { ...shown, canvas, layout, atlases: new Map() };
}
