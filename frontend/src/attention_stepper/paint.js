// @ts-check
// Numbers as boxes, as strips of tints, and as bars.

import { element, named } from "../shared/dom.js";
import { short } from "./figures.js";

export const part = named("mha-step");
export const MOST_NUMBERS = 12; // features whose numbers are written into the cells; more are tints, and numbers on pointing
const STRONGEST = 50; // percent of colour in the cell with the largest number: words on it stay legible
const [ABOVE, BELOW] = ["213 128 31", "125 107 179"]; // --mha-above and --mha-below: a strip of variables draws slowly

/**
 * @param {number} number
 * @param {number} reach the largest number that is tinted beside it
 * @param {number} [strongest] percent
 */
const tint = (number, reach, strongest = 100) =>
  `rgb(${number < 0 ? BELOW : ABOVE} / ${strongest * Math.min(1, Math.abs(number) / reach)}%)`;

/**
 * The colour of a weight from 0 to 1, between the two anchors around it.
 * @param {number} weight
 * @param {[number, string][]} anchors [index, "#rrggbb"]
 */
function weightColour(weight, anchors) {
  const index = Math.round(255 * weight);
  const found = anchors.findIndex(([at]) => at >= index);
  const after = Math.max(1, found);
  const [[from, first], [to, last]] = [anchors[after - 1], anchors[after]];
  return `color-mix(in srgb, ${last} ${((index - from) / (to - from)) * 100}%, ${first})`;
}

/**
 * A vector as its numbers, or where these are more than `most` as a strip of tints.
 * @param {number[]} numbers
 * @param {number} reach
 * @param {number} most
 */
export function vector(numbers, reach, most) {
  if (numbers.length <= most) return element("span", {}, ...numbers.map((number) => element("b", {}, short(number))));
  const end = (/** @type {number} */ i) => `${(100 * i) / numbers.length}%`;
  const stops = numbers.map((number, i) => `${tint(number, reach)} ${end(i)} ${end(i + 1)}`);
  const title = numbers.map(short).join("  ");
  const strip = element("span", { className: "mha-step-strip mha-data", role: "img", title, ariaLabel: title });
  strip.style.background = `linear-gradient(to right, ${stops})`;
  return strip;
}

/**
 * D numbers as cells, or where they are many as one strip of tints.
 * @param {number[]} numbers
 * @param {number} reach
 */
export function added(numbers, reach) {
  if (numbers.length > MOST_NUMBERS) {
    const strip = vector(numbers, reach, 0);
    strip.append(element("i"));
    return [part("wide", "td", {}, strip)];
  }
  return numbers.map((number, d) => {
    const cell = element("td", { className: "mha-step-share mha-data", "data-feature": d }, short(number));
    cell.style.backgroundColor = tint(number, reach, STRONGEST);
    return cell;
  });
}

/** What a tint means. @param {number} number */
export function swatch(number) {
  const colour = element("i", { className: "mha-data" });
  colour.style.background = tint(number, 1);
  return element("span", {}, colour, short(number));
}

/**
 * A number as a bar on a scale of its column's own.
 * @param {{ number: number, from: number, to: number, text: string, classes: string, colours: [number, string][] }} bar
 *   a scale from 0 is that of weights, any other that of scores
 */
export function bar({ number, from, to, text, classes, colours }) {
  const place = (/** @type {number} */ value) => (100 * (value - from)) / (to - from);
  const fill = part("fill", "span", { className: "mha-step-fill mha-data" });
  const [left, right] = [Math.min(place(0), place(number)), Math.max(place(0), place(number))];
  const background = from < 0 ? `var(--mha-${number < 0 ? "below" : "above"})` : weightColour(number, colours);
  Object.assign(fill.style, { left: `${left}%`, width: `${right - left}%`, background });
  const track = element("span", { className: `mha-step-track ${from < 0 ? "" : "mha-step-whole"}` }, fill);
  track.style.setProperty("--mha-zero", `${place(0)}%`);
  return element("td", { className: `mha-step-bar ${classes}` }, element("div", {}, track, element("b", {}, text)));
}
