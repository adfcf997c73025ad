// @ts-check
// The axes of a chart: from values to pixels and back, round numbers, and which of them have room.

/** @typedef {import("./chart_layout.js").Axis} Axis */

const BETWEEN = 10; // pixels between the words of two ticks

/**
 * A function from an axis to pixels.
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 */
export function scale({ low, high, log }, from, to) {
  const level = log ? Math.log : Number;
  const length = level(high) - level(low) || 1; // an axis has a length, even for a single point
  return (/** @type {number} */ value) => from + ((to - from) * (level(value) - level(low))) / length;
}

/**
 * The other way: from pixels to an axis.
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 */
export function unscale({ low, high, log }, from, to) {
  const share = (/** @type {number} */ place) => (place - from) / (to - from || 1);
  return (/** @type {number} */ place) =>
    log ? low * (high / low) ** share(place) : low + (high - low) * share(place);
}

/**
 * Round numbers from low to high of a logarithmic axis: 1, 2, 5, 10 …, or powers of ten alone where these are many.
 * @param {number} low
 * @param {number} high
 */
export function roundTicks(low, high, most = 7) {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => Number(`1e${first + i}`));
  const within = (/** @type {number} */ value) => low <= value && value <= high;
  const fine = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(within);
  return fine.length > most ? powers.filter(within) : fine;
}

/**
 * Ends of a logarithmic axis around positive values: a tenth of room on both sides, and a decade at least, so that a
 * flat curve looks flat.
 * @param {number[]} values
 * @returns {[number, number]}
 */
export function decade(values) {
  const known = values.filter((value) => value > 0 && value < Infinity);
  if (!known.length) return [0.1, 1];
  const [low, high] = [0.9 * Math.min(...known), 1.1 * Math.max(...known)];
  const more = Math.max(1, Math.sqrt((10 * low) / high));
  return [low / more, high * more];
}

/**
 * Every first, second, third … tick, so that their words do not touch.
 * @param {number[]} ticks
 * @param {(value: number) => number} place
 * @param {(value: number) => number} size
 */
export function spaced(ticks, place, size) {
  for (let step = 1; step < ticks.length; step++) {
    const left = ticks.filter((_, i) => i % step === 0);
    const apart = (/** @type {number} */ a, /** @type {number} */ b) =>
      Math.abs(place(b) - place(a)) >= (size(a) + size(b)) / 2 + BETWEEN;
    if (left.every((tick, i) => i === 0 || apart(left[i - 1], tick))) return left;
  }
  return ticks.slice(0, 1);
}
