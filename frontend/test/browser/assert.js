// @ts-check
// What the tests use of node:assert/strict, for a browser.

/** @param {ArrayBufferView} view */
const bytes = (view) => [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)];

/** @param {unknown} value */
const told = (value) =>
  JSON.stringify(value, (_, inner) => {
    if (inner instanceof DataView) return bytes(inner);
    return ArrayBuffer.isView(inner) ? [.../** @type {any} */ (inner)] : inner;
  });

/**
 * @param {unknown} a
 * @param {unknown} b
 * @returns {boolean}
 */
function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof DataView) return same(bytes(a), bytes(/** @type {DataView} */ (b)));
  if (a instanceof Map || a instanceof Set) return same([...a], [.../** @type {Set<unknown>} */ (b)]);
  const [left, right] = /** @type {Record<string, unknown>[]} */ ([a, b]);
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length && names.every((name) => name in right && same(left[name], right[name]))
  );
}

/**
 * @param {unknown} value
 * @param {string | Error} [message]
 */
export function ok(value, message = `${told(value)} is not true`) {
  if (!value) throw message instanceof Error ? message : new Error(message);
}

/** @type {(found: unknown, expected: unknown, message?: string) => void} */
export const equal = (found, expected, message = "") =>
  ok(Object.is(found, expected), `${message} ${told(found)} is not ${told(expected)}`);

/** @type {(found: unknown, expected: unknown, message?: string) => void} */
export const notEqual = (found, expected, message = "") =>
  ok(!Object.is(found, expected), `${message} ${told(found)} on both sides`);

/** @type {(found: unknown, expected: unknown, message?: string) => void} */
export const deepEqual = (found, expected, message = "") =>
  ok(same(found, expected), `${message} ${told(found)} is not ${told(expected)}`);

/** @type {(found: unknown, expected: unknown, message?: string) => void} */
export const notDeepEqual = (found, expected, message = "") =>
  ok(!same(found, expected), `${message} ${told(found)} on both sides`);

/** @type {(text: string, pattern: RegExp) => void} */
export const match = (text, pattern) => ok(pattern.test(text), `${told(text)} does not match ${pattern}`);

/** @type {(text: string, pattern: RegExp) => void} */
export const doesNotMatch = (text, pattern) => ok(!pattern.test(text), `${told(text)} matches ${pattern}`);

/** @type {(act: () => unknown, expected?: RegExp) => void} */
export function throws(act, expected = /(?:)/) {
  try {
    act();
  } catch (problem) {
    return match(String(problem), expected);
  }
  throw new Error("nothing was thrown");
}

/** @param {string} [message] */
export const fail = (message = "failed") => ok(false, message);

const names = { equal, strictEqual: equal, notEqual, notStrictEqual: notEqual, deepEqual, notDeepEqual };
export default Object.assign(ok, {
  ...names,
  deepStrictEqual: deepEqual,
  notDeepStrictEqual: notDeepEqual,
  ok,
  match,
  doesNotMatch,
  throws,
  fail,
});
