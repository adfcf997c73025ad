// @ts-check
// The table of numbers in its frame: drawn as roomy as the page allows, read by mouse, finger and arrow keys.

import { element } from "../shared/dom.js";
import { pointing } from "../shared/pointing.js";
import { part } from "./paint.js";
import { framesName, TOO_WIDE, tablesName } from "./speech.js";
import { stageTable } from "./stage_table.js";
import { sumTable } from "./sum_table.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Given} Given */

const LONGEST = 8; // a longer vector is shown in tints, wherever it stands
/** Up to which tightness a column's vectors are numbers. 0: roomy, 1: tight, then with tints in one column after the other. */
const TIGHTNESS = { key: 1, value: 2, terms: 3 };
const TIGHTEST = 4;
const MANY = 8; // rows that need a dense table

/**
 * @param {Given} fixed
 * @param {[number, string][]} colours
 */
export function numbersTable(fixed, colours) {
  const table = element("table");
  const frame = part("frame", "div", { tabIndex: 0, role: "group" }, table);
  const more = part("more", "p", { hidden: true }, TOO_WIDE);
  let [drawnWidth, drawnStage, tightness] = [0, 0, 0];
  const most = (/** @type {"key" | "value" | "terms"} */ column) => (tightness <= TIGHTNESS[column] ? LONGEST : 0);
  const tooWide = () => frame.scrollWidth > frame.clientWidth;

  /** @param {State} now */
  const fill = (now) => {
    table.replaceChildren(...(now.adding ? sumTable(fixed, now, most) : stageTable(fixed, now, most, colours)));
    table.className = now.adding ? "mha-step-adding" : fixed.words.length > MANY ? "mha-step-dense" : "";
    table.classList.toggle("mha-step-tight", tightness > 0);
  };
  /** @param {State} now */
  const show = (now) => {
    frame.ariaLabel = framesName(now.adding);
    table.ariaLabel = tablesName(now.adding);
    if (frame.clientWidth !== drawnWidth || now.adding !== (drawnStage === 6)) tightness = 0;
    fill(now);
    while (tooWide() && tightness < TIGHTEST) {
      tightness += 1; // and stays so at this width: the table would jump while a slider moves
      fill(now);
    }
    more.hidden = !tooWide();
    const current = /** @type {HTMLElement | null} */ (table.querySelector(".mha-step-current"));
    if (now.stage !== drawnStage) {
      frame.scrollLeft = (current ? current.offsetLeft + current.offsetWidth : 0) - frame.clientWidth;
    }
    [drawnWidth, drawnStage] = [frame.clientWidth, now.stage];
  };
  /** Marks the row of a key. @param {number} j */
  const markKey = (j) => {
    for (const [i, row] of [...table.tBodies[0].rows].entries()) row.classList.toggle("mha-step-hovered", i === j);
  };
  /** Marks the column of a feature. @param {number} feature */
  const markFeature = (feature) => {
    for (const cell of /** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll("[data-feature]"))) {
      cell.classList.toggle("mha-step-pointed", cell.dataset.feature === String(feature));
    }
    for (const mark of /** @type {NodeListOf<HTMLElement>} */ (table.querySelectorAll(".mha-step-wide i"))) {
      mark.style.left = `${(100 * feature) / fixed.D}%`;
    }
  };
  return { nodes: [more, frame], frame, table, show, markKey, markFeature };
}

/**
 * Mouse and finger: in stages 1 to 5 they read a key; in stage 6 a feature, and a click or a second tap chooses the head.
 * @param {HTMLElement} table
 * @param {number} D
 * @param {{ adding: () => boolean, key: (j: number) => void, feature: (d: number) => void, head: (h: number) => void }} acts
 */
export function pointingAt(table, D, { adding, key, feature, head }) {
  /** @typedef {import("../shared/pointing.js").Spot} Spot */
  const data = (/** @type {Spot} */ { target }, /** @type {string} */ name) => {
    const value = target?.closest(`[data-${name}]`)?.getAttribute(`data-${name}`);
    return value === null || value === undefined ? -1 : Number(value);
  };
  const featureAt = (/** @type {Spot} */ spot) => {
    const strip = spot.target?.closest(".mha-step-wide .mha-step-strip")?.getBoundingClientRect();
    if (!strip) return data(spot, "feature");
    return Math.min(D - 1, Math.max(0, Math.floor((D * (spot.clientX - strip.left)) / strip.width)));
  };
  return pointing(table, {
    read: (spot) => {
      if (!adding()) {
        const j = data(spot, "key");
        key(j);
        return j < 0 ? null : `key ${j}`;
      }
      const at = featureAt(spot);
      feature(at);
      return at < 0 && data(spot, "head") < 0 ? null : `head ${data(spot, "head")}`;
    },
    pin: (spot) => {
      if (adding() && data(spot, "head") >= 0) head(data(spot, "head"));
    },
    clear: () => (adding() ? feature(-1) : key(-1)),
  });
}
