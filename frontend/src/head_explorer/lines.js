// @ts-check
// One head's weights as lines from the words that look to those that are looked at: as thick as the weight is large.

import { clipped } from "../shared/words.js";
import { pen } from "./canvas.js";
import { largestOf } from "./maths.js";
import { mapOf } from "./state.js";
import { WORD_ROOM } from "./writing.js";

/**
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./paint.js").Sheet} Sheet
 * @typedef {import("./layout.js").Lines} Lines
 * @typedef {CanvasRenderingContext2D} Context
 */

const THICKEST = 5; // px
const THINNEST = 0.3; // px; thinner ones are left out

/**
 * Both columns of words and all lines.
 * @param {Context} ctx
 * @param {Sheet} sheet
 * @param {Lines} lines
 * @param {number} head
 * @param {Look} look
 */
export function drawLines(ctx, sheet, lines, head, look) {
  const map = mapOf(sheet, head);
  ctx.strokeStyle = look.ink.ink;
  strokes(ctx, sheet, lines, map, look, () => true);
  pen(ctx, look, `${lines.font}px`, look.ink.ink, "right", "middle");
  if (lines.step >= 8) sheet.words.forEach((word, i) => atLine(ctx, lines, 0, i, word));
  ctx.textAlign = "left";
  if (lines.step >= 8) sheet.keys.forEach((word, j) => atLine(ctx, lines, 1, j, word));
  for (const [side, count, colour] of /** @type {const} */ ([
    [0, sheet.n, look.ink.query],
    [1, sheet.s, look.ink.key],
  ])) {
    ctx.fillStyle = colour;
    ctx.fillRect(side ? lines.end + 2 : lines.x - 4, lines.top[side] - lines.step / 2, 2, count * lines.step);
  }
}

/**
 * The lines of one word over all others, which fade.
 * @param {Context} ctx
 * @param {Sheet} sheet
 * @param {Lines} lines
 * @param {number} head
 * @param {{ side: "query" | "key", row: number, column: number }} word
 * @param {Look} look
 */
export function drawWordsLines(ctx, sheet, lines, head, { side, row, column }, look) {
  const { x, end, top, step } = lines;
  ctx.globalAlpha = 0.8;
  ctx.fillStyle = look.ink.page;
  ctx.fillRect(x, Math.min(...top) - step, end - x, step * (Math.max(sheet.n, sheet.s) + 1));
  ctx.globalAlpha = 1;
  const ofWord = (/** @type {number} */ i, /** @type {number} */ j) => (side === "query" ? i === row : j === column);
  ctx.strokeStyle = side === "query" ? look.ink.query : look.ink.key;
  strokes(ctx, sheet, lines, mapOf(sheet, head), look, ofWord);
  for (const at of /** @type {const} */ ([0, 1])) {
    const [place, words] = at ? [column, sheet.keys] : [row, sheet.words];
    pen(ctx, look, `600 ${lines.font}px`, "", at ? "left" : "right", "middle");
    atLine(ctx, lines, at, place, words[place], at ? look.ink.key : look.ink.query);
  }
}

/**
 * @param {Context} ctx
 * @param {Sheet} sheet
 * @param {Lines} lines
 * @param {Float32Array} map
 * @param {Look} look
 * @param {(row: number, column: number) => boolean} chosen
 */
function strokes(ctx, { s }, { x, end, top, step }, map, { stretch }, chosen) {
  const reach = stretch ? largestOf(map) || 1 : 1;
  const thick = Math.min(THICKEST, step) / reach;
  const thin = THINNEST / Math.min(THICKEST, step);
  map.forEach((weight, index) => {
    const [i, j] = [Math.floor(index / s), index % s];
    if (weight / reach < Math.max(thin, 0.02) || !chosen(i, j)) return;
    ctx.lineWidth = weight * thick;
    ctx.beginPath();
    ctx.moveTo(x, top[0] + i * step);
    ctx.lineTo(end, top[1] + j * step);
    ctx.stroke();
  });
}

/**
 * A word beside the lines, on a plate of this colour if there is one.
 * @param {Context} ctx
 * @param {Lines} lines
 * @param {0 | 1} side
 * @param {number} at
 * @param {string} word
 * @param {string} [plate]
 */
function atLine(ctx, { x, end, top, step, font }, side, at, word, plate) {
  const text = clipped(word, WORD_ROOM * (font / 12), (part) => ctx.measureText(part).width);
  const [left, y] = [side ? end + 8 : x - 8, top[side] + at * step];
  if (plate) {
    const [wide, high] = [ctx.measureText(text).width + 8, Math.min(20, Math.max(font + 2, step * 0.87))];
    ctx.fillStyle = plate;
    ctx.fillRect(side ? left - 4 : left - wide + 4, y - high / 2, wide, high);
    ctx.fillStyle = side ? "#000" : "#fff";
  }
  ctx.fillText(text, left, y);
}
