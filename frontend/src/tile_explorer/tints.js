// @ts-check
// Numbers as tints: above 0 orange, below it purple, the more the further away.

const [ABOVE, BELOW] = ["213 128 31", "125 107 179"]; // --mha-above and --mha-below

/**
 * @param {number} number
 * @param {number} reach the largest number that is tinted beside it
 * @param {number} [strongest] percent of colour there
 */
export const shade = (number, reach, strongest = 90) =>
  `rgb(${number < 0 ? BELOW : ABOVE} / ${(strongest * Math.min(1, Math.abs(number) / reach)).toFixed(1)}%)`;
