// @ts-check
// Numbers as they are written: short in the table, and in a sum with as many decimals as make it right.

/**
 * A number in few characters and `more` decimals, with a true minus sign; what is rounded to 0 has no sign.
 * @param {number} value
 * @param {number} more
 */
export function precise(value, more) {
  const size = Math.abs(value);
  if (size < 1000 && Math.abs(value - Math.round(value)) < 5e-4 / 10 ** more) {
    return String(Math.round(value) || 0).replace("-", "−");
  }
  const decimals = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const text = size >= 1000 ? value.toExponential(1 + more) : value.toFixed(decimals + more);
  return text.replace("-", Number(text) ? "−" : "");
}

/** A number as the table shows it. @param {number} value */
export const short = (value) => precise(value, 0);

/** A weight as the lessons print it. @param {number} weight */
export const share = (weight) => weight.toFixed(3);

/** Behind a plus or a times. @param {string} text */
export const bracket = (text) => (text.startsWith("−") ? `(${text})` : text);

/** @param {number[]} numbers */
export const allPrecise = (numbers) => (/** @type {number} */ more) => numbers.map((number) => precise(number, more));

const MOST_MORE = 5; // decimals that a written sum may have beyond the table's

/**
 * A sum as it is written out: shown = figures(more), texts with so many more decimals that compute(their numbers) gives the
 * results as `write` shows them (goal), so that who checks the figures finds the same; sign is "=" where they give it
 * exactly.
 * @param {(more: number) => string[]} figures
 * @param {(numbers: number[]) => number[]} compute
 * @param {number[]} results
 * @param {(number: number) => string} [write]
 */
export function written(figures, compute, results, write = short) {
  const read = (/** @type {string} */ text) => Number(text.replace("−", "-"));
  const goal = results.map((result) => write(result));
  for (let more = 0; ; more += 1) {
    const shown = figures(more);
    const found = compute(shown.map(read));
    if (more < MOST_MORE && found.some((number, i) => write(number) !== goal[i])) continue;
    const exact = found.every((number, i) => Math.abs(number - read(goal[i])) < 1e-9);
    return { shown, goal, sign: exact ? "=" : "≈", more };
  }
}

/**
 * The end of a scale that holds `reach`: 1, 2, 3, 4, 5, 6 or 8 times a power of ten.
 * @param {number} reach
 */
export function roundUp(reach) {
  const power = 10 ** Math.floor(Math.log10(reach));
  return power * ([1, 2, 3, 4, 5, 6, 8].find((step) => step * power >= reach * (1 - 1e-9)) ?? 10);
}

/** The largest size among numbers; 1 where all are 0. @param {number[]} numbers */
export const largest = (numbers) => Math.max(0, ...numbers.map(Math.abs)) || 1;
