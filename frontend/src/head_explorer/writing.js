// @ts-check
// What is written on and around a map: its words, numbers, and the head's name.

import { signed } from "../shared/numbers.js";
import { clipped } from "../shared/words.js";
import { pen } from "./canvas.js";
import { mapOf } from "./state.js";

/**
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./paint.js").Place} Place
 * @typedef {import("./state.js").Shown} Shown
 */

export const WORD_ROOM = 84; // for the longest word, at 12 px

/**
 * A thin line around the cells where a word looks at itself, lighter than the dark ones and darker than the light ones.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {number} n
 */
export function outlineDiagonal(ctx, { x, y, cell }, n) {
  ctx.beginPath();
  for (let i = 0; i < n; i++) ctx.rect(x + i * cell + 1.5, y + i * cell + 1.5, cell - 2, cell - 2);
  ctx.save();
  ctx.globalCompositeOperation = "difference";
  ctx.lineWidth = cell < 20 ? 1 : 2;
  ctx.strokeStyle = "#777";
  ctx.stroke();
  ctx.restore();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Shown} shown
 * @param {Look} look
 */
export function writeNumbers(ctx, { x, y, cell, head, less, reach = 1 }, shown, look) {
  pen(ctx, look, `${Math.min(13, cell * 0.36)}px`, "", "center", "middle");
  mapOf(shown, head, less).forEach((number, index) => {
    const size = Math.abs(number);
    if ((shown.allowed && !shown.allowed[index]) || size < 0.005) return; // a field of 0.00 hides the others
    ctx.fillStyle = (less === undefined ? number / reach < 0.5 : size / reach >= 0.75) ? "#fff" : "#000";
    const text = less === undefined ? number.toFixed(2) : signed(number).replace("0.", "."); // a cell has room for four
    ctx.fillText(text, x + ((index % shown.s) + 0.5) * cell, y + (Math.floor(index / shown.s) + 0.5) * cell);
  });
}

/**
 * A stroke where a difference is below 0: its colour and that above 0 are the same grey.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Shown} shown
 */
export function strikeNegative(ctx, { x, y, cell, head, less, reach = 1 }, shown) {
  ctx.fillStyle = "#fff";
  mapOf(shown, head, less).forEach((number, index) => {
    if (number > -reach / 10) return;
    const [row, column] = [Math.floor(index / shown.s), index % shown.s];
    ctx.fillRect(x + (column + 0.25) * cell, y + (row + 0.5) * cell, cell / 2, 1);
  });
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Shown} shown
 * @param {Look} look
 */
export function writeWords(ctx, place, { words, keys }, look) {
  pen(ctx, look, `${place.font}px`, look.ink.ink, "left", "middle");
  if (place.left) words.forEach((word, i) => atWord(ctx, place, i, false, word));
  if (place.top) keys.forEach((word, j) => atWord(ctx, place, j, true, word));
}

/**
 * Writes the word of a row (left of the map) or of a column (above it, slanted); on a plate of this colour if there is one.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {number} i
 * @param {boolean} above
 * @param {string} word
 * @param {string} [plate]
 */
export function atWord(ctx, { x, y, cell, font }, i, above, word, plate) {
  const middle = (i + 0.5) * cell;
  const text = clipped(word, WORD_ROOM * (font / 12), (part) => ctx.measureText(part).width);
  const wide = ctx.measureText(text).width;
  ctx.save();
  ctx.translate(above ? x + middle : x - 5 - wide, above ? y - 5 : y + middle);
  if (above) ctx.rotate(-Math.PI / 3);
  if (plate) {
    const high = Math.min(20, Math.max(font + 1, cell * 0.87)); // no higher than a word's own place
    ctx.fillStyle = plate;
    ctx.fillRect(-4, -high / 2, wide + 8, high);
    ctx.fillStyle = above ? "#000" : "#fff";
  }
  ctx.fillText(text, 0, 0);
  ctx.restore();
}

/**
 * The head's name below its map: the words have the place above it.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Shown} shown
 * @param {Look} look
 */
export function writeLabel(ctx, place, { groups, heads }, look) {
  if (!place.label) return;
  const { head, less, x, y, wide, high, label, large, reach = 1 } = place;
  const { ink } = look;
  pen(ctx, look, large ? "600 14px" : label > 14 ? "12px" : "10px", large ? ink.ink : ink.muted);
  const base = y + high + label - 4;
  if (less !== undefined) {
    ctx.textAlign = "left";
    ctx.fillText(wide < 280 ? `${head} − ${less}` : `head ${head} − head ${less}`, x, base);
    return drawDifferenceKey(ctx, x + wide, base, reach, look);
  }
  const share = look.stretch ? ` · max ${reach.toFixed(2)}` : "";
  const group = Math.floor((head * groups) / heads);
  const ofKeys = groups ? [`head ${head} · keys ${group}`, `${head} · k${group}`] : [];
  const names = [...ofKeys, `head ${head}${share}`, `head ${head}`, `${head}`];
  const text = names.find((name) => ctx.measureText(name).width <= wide) ?? `${head}`;
  ctx.fillText(text, x + wide / 2, base);
}

/**
 * The colours of a difference from −reach to reach, ending at x.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number} x
 * @param {number} base
 * @param {number} reach
 * @param {Look} look
 */
function drawDifferenceKey(ctx, x, base, reach, look) {
  const end = reach.toFixed(look.stretch ? 2 : 0);
  pen(ctx, look, "12px", look.ink.ink, "right");
  ctx.fillText(end, x, base);
  const right = Math.round(x - ctx.measureText(end).width - 6);
  for (let i = 0; i < 64; i++) {
    ctx.fillStyle = `rgb(${look.diverging.subarray(16 * i, 16 * i + 3)})`; // every fourth colour
    ctx.fillRect(right - 64 + i, base - 10, 1, 11);
  }
  ctx.fillStyle = look.ink.ink;
  ctx.fillText(`−${end}`, right - 70, base);
}
