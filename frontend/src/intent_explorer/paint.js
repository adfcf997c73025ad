// @ts-check
// Words on the colours of their weights.

import { inkOn } from "../shared/colour.js";

/**
 * @template {HTMLElement} Node
 * @param {Node} node
 * @param {number} level 0 … 1
 * @param {Uint8ClampedArray} colours a colourTable
 * @returns {Node}
 */
export function tint(node, level, colours) {
  const at = 4 * Math.round(255 * Math.min(1, Math.max(0, level)));
  const rgb = [...colours.subarray(at, at + 3)];
  node.style.background = `rgb(${rgb})`;
  node.style.color = inkOn(rgb);
  return node;
}
