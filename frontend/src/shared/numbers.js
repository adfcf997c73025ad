// @ts-check
// Numbers in words, in every browser's language the same.

/** @type {Record<number, Intl.NumberFormat>} */
const formats = {}; // to make one takes longer than all that it writes

/**
 * A number with a comma between thousands.
 * @param {number} number
 * @param {number} [digits] behind the point
 */
export function grouped(number, digits = 0) {
  formats[digits] ??= new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return formats[digits].format(number);
}

/**
 * So many things: "1 head", "1,024 tokens".
 * @param {number} count
 * @param {string} thing one of them
 */
export const plural = (count, thing) => `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`;

/**
 * A number with a sign, a true minus: "+0.12", "−0.30".
 * @param {number} number
 * @param {number} [digits]
 */
export const signed = (number, digits = 2) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(digits);

/** @param {number} share */
export const percent = (share) => `${Math.round(100 * share)}%`;

/**
 * The whole numbers that divide n, in rising order.
 * @param {number} n
 */
export function divisors(n) {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/**
 * @param {number} number
 * @param {number} low
 * @param {number} high
 */
export const within = (number, low, high) => Math.max(low, Math.min(high, number));

/** @type {Record<string, string[]>} */
const UNITS = { B: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], s: ["µs", "ms", "s"] };
const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

/**
 * A number of at least 0 in three digits with its unit: "B" in 1,024s, "s" from µs on, anything else in thousands.
 * @param {number} value
 * @param {string} unit "B", "s", "FLOP", "" …
 */
export function amount(value, unit) {
  const steps = UNITS[unit] ?? PREFIXES.map((prefix) => prefix + unit);
  const base = unit === "B" ? 1024 : 1000;
  let rest = unit === "s" ? value * 1e6 : value;
  let step = 0;
  for (; rest >= 999.5 && step < steps.length - 1; step++) rest /= base;
  const digits = rest < 999.5 ? String(Number(rest.toPrecision(3))) : grouped(Math.round(rest));
  return `${digits} ${steps[step]}`.trim();
}
