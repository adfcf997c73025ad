// @ts-check
// Colours: of numbers, of the theme, and of what has none of its own.

/**
 * 256 colours (r, g, b, 255) through the given anchors.
 * @param {[number, string][]} anchors [index, "#rrggbb"]
 */
export function colourTable(anchors) {
  const table = new Uint8ClampedArray(256 * 4).fill(255);
  const channel = (/** @type {string} */ hex, /** @type {number} */ c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16);
  for (let a = 1; a < anchors.length; a++) {
    const [[from, first], [to, last]] = [anchors[a - 1], anchors[a]];
    for (let i = from; i <= to; i++) {
      const part = (i - from) / (to - from);
      for (let c = 0; c < 3; c++) {
        table[4 * i + c] = Math.round(channel(first, c) * (1 - part) + channel(last, c) * part);
      }
    }
  }
  return table;
}

/**
 * The anchors as a CSS background, for the bar beside a picture.
 * @param {[number, string][]} anchors
 */
export const gradient = (anchors) =>
  `linear-gradient(to right,${anchors.map(([at, hex]) => `${hex} ${at / 2.55}%`).join()})`;

/**
 * Black or white, whichever is more legible on a colour: one of them always has a contrast above 4.5.
 * @param {number[]} rgb 0 … 255
 */
export function inkOn(rgb) {
  const linear = rgb.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
}

/**
 * The colours of the theme that a canvas needs, { ink: "#222", … }, and the family of its letters. With forced colours they
 * are the system's (shared/style.css), which a canvas knows by name.
 * @template {string} Name
 * @param {Element} root
 * @param {Name[]} names of --mha-… variables
 * @returns {Record<Name | "family", string>}
 */
export function inks(root, names) {
  const style = getComputedStyle(root);
  const values = names.map((name) => [name, style.getPropertyValue(`--mha-${name}`).trim()]);
  return { family: style.fontFamily, ...Object.fromEntries(values) };
}

/**
 * Hatches a box of a canvas: what is masked, or never stored.
 * @param {CanvasRenderingContext2D} ctx
 * @param {{ x?: number, y?: number, wide: number, high: number, step?: number, colour: string, line?: number }} box
 */
export function hatch(ctx, { x = 0, y = 0, wide, high, step = 6, colour, line = 1 }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, wide, high);
  ctx.clip();
  ctx.beginPath();
  for (let d = step / 2; d < wide + high; d += step) {
    ctx.moveTo(x + d, y);
    ctx.lineTo(x, y + d);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = line;
  ctx.stroke();
  ctx.restore();
}
