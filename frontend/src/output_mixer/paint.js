// @ts-check
// Numbers on tints, in a table's cells.

import { quoted } from "../shared/words.js";
import { short } from "./speech.js";

export const MOST_NUMBERS = 12; // features whose numbers are written into the cells; more are tints, and numbers on pointing
const STRONGEST = 50; // percent of colour in the cell with the largest number: words on it stay legible

/**
 * Numbers on tints; of a head that is off the numbers in outline, or where tints stand alone, these hatched.
 * @param {HTMLElement[]} cells
 * @param {number[]} values
 * @param {{ reach: number, features: string[], on?: boolean }} look reach is the largest number that a cell can hold
 */
export function fill(cells, values, { reach, features, on = true }) {
  const many = cells.length > MOST_NUMBERS;
  for (const [d, cell] of cells.entries()) {
    const text = short(values[d]);
    const strength = (many ? 100 : STRONGEST) * Math.min(1, Math.abs(values[d]) / reach);
    const tint = `color-mix(in srgb, var(--mha-${values[d] < 0 ? "below" : "above"}) ${strength}%, transparent)`;
    const hatching = many ? `repeating-linear-gradient(-45deg, ${tint} 0 3px, transparent 3px 6px)` : "none";
    cell.style.backgroundImage = on ? `linear-gradient(${tint}, ${tint})` : hatching;
    cell.textContent = many ? "" : text;
    cell.title = `${quoted(features[d])} ${text}`;
  }
}
