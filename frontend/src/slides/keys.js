// @ts-check
// An explorer that has the focus has the keys; Escape gives them back to the slides.

/** @param {Element | null} element */
export const inExplorer = (element) => Boolean(element?.closest(".mha-host"));

/**
 * Whether the slides may act on a key.
 * @param {{ key: string }} event
 */
export function keysOf(event) {
  const held = document.activeElement;
  if (!inExplorer(held)) return true;
  if (event.key === "Escape" && held instanceof HTMLElement) held.blur();
  return false;
}
