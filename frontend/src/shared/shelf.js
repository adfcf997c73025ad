// @ts-check
// The browser's own memory, for what somebody answers while no kernel listens. A browser may refuse to keep anything.
//
// `since` is when Python last forgot something (checks.reset): what was kept before that is not brought back.

/**
 * The text that is kept under a name, or null.
 * @param {string} name
 * @param {string} since
 */
export function taken(name, since) {
  try {
    return (localStorage.getItem(`${name}.since`) ?? "") === since ? localStorage.getItem(name) : null;
  } catch {
    return null;
  }
}

/**
 * Keeps a text under a name; null keeps nothing.
 * @param {string} name
 * @param {string} since
 * @param {string | null} text
 */
export function put(name, since, text) {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
    if (text === null || !since) localStorage.removeItem(`${name}.since`);
    else localStorage.setItem(`${name}.since`, since);
  } catch {
    // Then it lives as long as the notebook.
  }
}
