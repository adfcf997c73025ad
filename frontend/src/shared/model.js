// @ts-check
// A model without a kernel.

/**
 * JSON's reviver: bytes arrive as {"base64": …}.
 * @param {string} _
 * @param {any} value
 */
export const revived = (_, value) =>
  typeof value?.base64 === "string"
    ? new DataView(Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0)).buffer)
    : value;

/**
 * @param {unknown} a
 * @param {unknown} b
 */
const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/**
 * As anywidget gives one, but for send().
 * @param {Record<string, unknown>} state
 */
export function modelOf(state) {
  /** @type {Record<string, (() => void)[]>} */
  const listeners = {};
  const heard = (/** @type {string} */ event) => listeners[event] ?? [];
  return {
    get: (/** @type {string} */ name) => state[name],
    set(/** @type {string} */ name, /** @type {unknown} */ value) {
      if (same(state[name], value)) return;
      state[name] = value;
      for (const act of heard(`change:${name}`)) act();
    },
    on(/** @type {string} */ event, /** @type {() => void} */ act) {
      listeners[event] = [...heard(event), act];
    },
    off(/** @type {string} */ event, /** @type {() => void} */ act) {
      listeners[event] = heard(event).filter((other) => other !== act);
    },
    save_changes() {},
  };
}
