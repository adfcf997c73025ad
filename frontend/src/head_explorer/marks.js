// @ts-check
// Outlines that follow the pointer: the same cell in every head, its words, the current head, the pinned ones.

import { pen, sized } from "./canvas.js";
import { drawWordsLines } from "./lines.js";
import { atWord } from "./writing.js";

/**
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./paint.js").Place} Place
 * @typedef {import("./paint.js").Sheet} Sheet
 */

/**
 * @typedef {object} Marked
 * @property {number[] | null} cell [head, row, column]
 * @property {number[]} pinned
 * @property {number | null} current a head that the keys have chosen
 * @property {number | null} layer of the overview: the one that the slider is at
 * @property {"query" | "key"} side on which a word beside the lines is read
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Sheet} sheet
 * @param {Look} look
 * @param {Marked} marked
 */
export function drawMarks(canvas, sheet, look, { cell, pinned, current, layer, side }) {
  canvas.hidden = !cell && current === null && layer === null && !pinned.length; // one picture less on the page
  if (canvas.hidden) return;
  const { places, height, lines, columns } = sheet.layout;
  const ctx = sized(canvas, look, height);
  ctx.lineWidth = 2;
  for (const place of places) {
    if (place.large) continue;
    if (pinned.includes(place.head)) frame(ctx, place, look.ink.ink);
    if (place.head === current) frame(ctx, place, look.ink.brand);
  }
  if (layer !== null) {
    const [first, last] = [places[layer * columns], places[(layer + 1) * columns - 1]];
    ctx.lineWidth = 1;
    frame(ctx, { ...first, wide: last.x + last.wide - first.x }, look.ink.muted);
  }
  if (!cell) return;
  if (lines) {
    const head = places[places.length - 1].head;
    drawWordsLines(ctx, sheet, lines, head, { side, row: cell[1], column: cell[2] }, look);
  }
  for (const place of places) markCell(ctx, place, cell[1], cell[2], sheet, look);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {string} colour
 */
function frame(ctx, { x, y, wide, high }, colour) {
  ctx.strokeStyle = colour;
  ctx.strokeRect(x - 2, y - 2, wide + 4, high + 4);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {number} query
 * @param {number} key
 * @param {Sheet} sheet
 * @param {Look} look
 */
function markCell(ctx, place, query, key, { words, keys }, look) {
  const cell = Math.max(place.cell, 3);
  const [x, y] = [place.x + key * place.cell, place.y + query * place.cell];
  const thick = cell >= 12 ? 2 : 1;
  ctx.lineWidth = thick;
  ctx.strokeStyle = "#000";
  ctx.strokeRect(x - thick, y - thick, cell + 2 * thick, cell + 2 * thick);
  ctx.strokeStyle = "#fff";
  ctx.strokeRect(x, y, cell, cell);
  pen(ctx, look, `600 ${place.font}px`, "", "left", "middle");
  if (place.left) atWord(ctx, place, query, false, words[query], look.ink.query);
  if (place.top) atWord(ctx, place, key, true, keys[key], look.ink.key);
}
