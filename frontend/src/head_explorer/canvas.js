// @ts-check
// Canvases on as many device pixels as the screen has.

/**
 * How everything is drawn at present.
 *
 * @typedef {object} Look
 * @property {number} width of the stage, in CSS pixels
 * @property {number} ratio device pixels in each
 * @property {Record<"family" | "ink" | "muted" | "page" | "line" | "brand" | "query" | "key", string>} ink
 * @property {boolean} stretch
 * @property {Uint8ClampedArray} colours of weights, 256 times (r, g, b, 255)
 * @property {Uint8ClampedArray} diverging of differences
 */

/** @param {HTMLCanvasElement} canvas */
export const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/**
 * The canvas's context, cleared, in CSS pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {Look} look
 * @param {number} height
 * @param {number} [width]
 */
export function sized(canvas, { width: whole, ratio }, height, width = whole) {
  const [w, h] = [width, height].map((length) => Math.round(length * ratio));
  // Never lower: the stage hides what is too much, and a new size costs as much as all maps.
  if (canvas.width !== w || canvas.height < h) {
    Object.assign(canvas, { width: w, height: h });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  const ctx = contextOf(canvas);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, w, canvas.height);
  return ctx;
}

/**
 * Chooses how to write.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Look} look
 * @param {string} font "12px", "600 14px"
 * @param {string} [fillStyle]
 * @param {CanvasTextAlign} [textAlign]
 * @param {CanvasTextBaseline} [textBaseline]
 */
export function pen(ctx, look, font, fillStyle = "", textAlign = "center", textBaseline = "alphabetic") {
  Object.assign(ctx, { font: `${font} ${look.ink.family}`, fillStyle, textAlign, textBaseline });
}
