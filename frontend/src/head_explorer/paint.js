// @ts-check
// The maps: one pixel a cell, or more cells a pixel, of all maps side by side on a small canvas; those on the page are its
// enlargements.

import { element } from "../shared/dom.js";
import { contextOf, pen, sized } from "./canvas.js";
import { DIAGONAL_CELL, NUMBER_CELL } from "./layout.js";
import { drawLines } from "./lines.js";
import { largestOf, shades } from "./maths.js";
import { NUMBERED } from "./other_layouts.js";
import { mapOf, readyRows } from "./state.js";
import { outlineDiagonal, strikeNegative, writeLabel, writeNumbers, writeWords } from "./writing.js";

/**
 * @typedef {import("./canvas.js").Look} Look
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {import("./layout.js").Place & { reach?: number, done?: boolean }} Place reach: the weight with the last colour;
 *   done: no row is to come
 * @typedef {Shown & { canvas: HTMLCanvasElement, layout: Omit<import("./layout.js").Layout, "places"> & { places: Place[] },
 *   atlases: Map<boolean, Atlas> }} Sheet what is drawn, and how far it is
 *
 * @typedef {object} Atlas what all maps of one size share
 * @property {HTMLCanvasElement} canvas
 * @property {(i: number) => [HTMLCanvasElement, number, number, number, number]} part where the i-th map's pixels stand
 * @property {Uint32Array | null} holes where all cells of a pixel are masked
 * @property {HTMLCanvasElement} cover what lies over each of them
 */

/** @param {Sheet} sheet */
export const growing = ({ layout }) => layout.places.some(({ done }) => !done);

/**
 * Draws what there is of the maps; at least one more of them, and others until `end`.
 * @param {Sheet} sheet
 * @param {Look} look
 * @param {number} end
 */
export function drawMaps(sheet, look, end) {
  const { layout, atlases } = sheet;
  const ctx = sized(sheet.canvas, look, layout.height);
  for (const size of [false, true]) {
    const places = layout.places.filter(({ large }) => large === size);
    if (!places.length) continue;
    const atlas = atlases.get(size) ?? newAtlas(places, sheet, look);
    atlases.set(size, atlas);
    fill(atlas, places, sheet, look, end);
    ctx.imageSmoothingEnabled = false;
    places.forEach((place, i) => {
      const box = /** @type {const} */ ([place.x, place.y, place.wide, place.high]);
      ctx.drawImage(...atlas.part(i), ...box);
      ctx.drawImage(atlas.cover, ...box);
      drawOver(ctx, place, sheet, look);
    });
  }
  if (sheet.groups) drawGroups(ctx, sheet, look);
  if (layout.beside) writeLayers(ctx, sheet, look);
  const shown = layout.places[layout.places.length - 1];
  if (layout.lines && readyRows(sheet) >= (shown.head + 1) * sheet.n)
    drawLines(ctx, sheet, layout.lines, shown.head, look);
  if (layout.empty) drawEmptySlot(ctx, layout.empty, look);
}

/**
 * A line in the colour of keys under the maps of each group of heads that share a head of keys.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Sheet} sheet
 * @param {Look} look
 */
function drawGroups(ctx, { layout, heads, groups }, look) {
  const groupOf = (/** @type {Place} */ place) => Math.floor((place.head * groups) / heads);
  ctx.fillStyle = look.ink.key;
  layout.places.forEach((place, i) => {
    const next = layout.places[i + 1];
    const together = next && next.y === place.y && !place.large && groupOf(next) === groupOf(place);
    const wide = together ? next.x - place.x : place.wide;
    ctx.fillRect(place.x, place.y + place.high + place.label, wide, 3);
  });
}

/**
 * The names of layers, and the numbers of heads where they have room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Sheet} sheet
 * @param {Look} look
 */
function writeLayers(ctx, { layout, layers }, look) {
  const { places, columns, beside = 0 } = layout;
  pen(ctx, look, "11px", look.ink.muted, "right", "middle");
  for (let layer = 0; layer < layers; layer++) {
    const { y, high } = places[layer * columns];
    ctx.fillText(`layer ${layer}`, beside - 6, y + high / 2);
  }
  if (places[0].wide < NUMBERED) return;
  pen(ctx, look, "10px", look.ink.muted);
  for (const { head, x, y, wide } of places.slice(0, columns)) ctx.fillText(`${head}`, x + wide / 2, y - 5);
}

/**
 * @param {Place[]} places
 * @param {Sheet} sheet
 * @param {Look} look
 * @returns {Atlas}
 */
function newAtlas(places, { n, s, allowed }, look) {
  const { pool } = places[0];
  const [rows, columns] = [n, s].map((cells) => Math.ceil(cells / pool));
  const across = Math.ceil(Math.sqrt(places.length + 1));
  const canvas = element("canvas", { width: across * columns, height: across * rows });
  /** @type {Atlas["part"]} */
  const part = (i) => [canvas, (i % across) * columns, Math.floor(i / across) * rows, columns, rows];
  const holes = allowed && shades(allowed, s, pool, [255 << 24, 0], 0, 1);
  const stencil = holes && part(places.length);
  if (stencil) put(holes, stencil);
  return { canvas, part, holes, cover: paintCover(places[0], n, s, look, stencil) };
}

/**
 * @param {Uint32Array} pixels
 * @param {ReturnType<Atlas["part"]>} part
 */
function put(pixels, [canvas, x, y, columns]) {
  const bytes = new Uint8ClampedArray(/** @type {ArrayBuffer} */ (pixels.buffer));
  contextOf(canvas).putImageData(new ImageData(bytes, columns), x, y);
}

/**
 * The pixels of the maps whose rows are there.
 * @param {Atlas} atlas
 * @param {Place[]} places
 * @param {Sheet} sheet
 * @param {Look} look
 * @param {number} end
 */
function fill(atlas, places, sheet, look, end) {
  const ready = readyRows(sheet);
  places.forEach((place, i) => {
    const rows = ready - Math.max(place.head, place.less ?? 0) * sheet.n;
    place.reach ??= 1;
    if (place.done || rows <= 0 || (i && performance.now() > end)) return;
    const map = mapOf(sheet, place.head, place.less);
    if (look.stretch) place.reach = largestOf(map) || 1;
    put(painted(place, map, sheet.s, atlas.holes, look), atlas.part(i));
    place.done = rows >= sheet.n;
  });
}

/**
 * @param {Place} place
 * @param {Float32Array} map
 * @param {number} s
 * @param {Uint32Array | null} holes
 * @param {Look} look
 */
function painted({ less, pool, reach = 1 }, map, s, holes, { colours, diverging }) {
  const zero = less === undefined ? 0 : 127.5;
  const palette = new Uint32Array((less === undefined ? colours : diverging).buffer);
  const found = shades(map, s, pool, palette, zero, (255 - zero) / reach);
  holes?.forEach((hole, i) => {
    if (hole) found[i] = 0;
  });
  return found;
}

/**
 * What lies over every map of one size: hatching on masked cells, thin lines between large ones.
 * @param {Place} place
 * @param {number} n
 * @param {number} s
 * @param {Look} look
 * @param {ReturnType<Atlas["part"]> | null} stencil
 */
function paintCover({ wide, high, cell }, n, s, look, stencil) {
  const cover = element("canvas");
  const ctx = sized(cover, look, high, wide);
  if (stencil) {
    ctx.save();
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(...stencil, 0, 0, wide, high);
    ctx.globalCompositeOperation = "source-in"; // only where the stencil is
    ctx.strokeStyle = look.ink.line;
    ctx.lineWidth = cell >= 6 ? 1 : 0.5;
    const step = Math.max(3, Math.min(7, cell / 2));
    ctx.beginPath();
    for (let d = step / 2; d < wide + high; d += step) {
      ctx.moveTo(d, 0);
      ctx.lineTo(0, d);
    }
    ctx.stroke();
    ctx.restore();
  }
  if (cell >= 8) {
    ctx.fillStyle = look.ink.page;
    const thin = (cell >= 20 ? 2 : 1) / look.ratio;
    for (let i = 1; i < n; i++) ctx.fillRect(0, i * cell, wide, thin);
    for (let j = 1; j < s; j++) ctx.fillRect(j * cell, 0, thin, high);
  }
  return cover;
}

/**
 * Numbers, words and a label, as far as there is room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Sheet} sheet
 * @param {Look} look
 */
function drawOver(ctx, place, sheet, look) {
  const { cell, less } = place;
  if (cell >= DIAGONAL_CELL && sheet.own) outlineDiagonal(ctx, place, sheet.n);
  if (cell >= NUMBER_CELL) writeNumbers(ctx, place, sheet, look);
  else if (less !== undefined && cell >= DIAGONAL_CELL) strikeNegative(ctx, place, sheet);
  writeWords(ctx, place, sheet, look);
  writeLabel(ctx, place, sheet, look);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Place} place
 * @param {Look} look
 */
function drawEmptySlot(ctx, { x, y, wide, high }, look) {
  ctx.strokeStyle = look.ink.line;
  ctx.setLineDash([6, 6]);
  ctx.strokeRect(x, y, wide, high);
  ctx.setLineDash([]);
  pen(ctx, look, "14px", look.ink.muted);
  ctx.fillText("click another to compare", x + wide / 2, y + high / 2);
}
