// @ts-check
// Rows that are put in another order: those in sight are laid out at once, and the others, a few at a time, when the page
// has nothing else to do. All at once would take longer than a frame.

const AT_ONCE = 9; // rows: as many as the table shows
const EACH_TIME = 6;
const LATER = "mha-models-later"; // such a row has its place, and nothing in it is laid out

/** Safari knows no idle time. */
const whenIdle = (/** @type {() => void} */ act) =>
  "requestIdleCallback" in window ? requestIdleCallback(act, { timeout: 200 }) : setTimeout(act, 50);

/** @param {HTMLElement} body of the table */
export function filling(body) {
  /** @type {HTMLElement[]} */
  let waiting = [];
  const some = () => {
    for (const line of waiting.splice(0, EACH_TIME)) line.classList.remove(LATER);
    if (waiting.length) whenIdle(some);
  };
  /** All rows at once: somebody walks to them. */
  const all = () => {
    for (const line of waiting.splice(0)) line.classList.remove(LATER);
  };
  /** Or scrolls to them. @param {HTMLElement} view what scrolls */
  const reach = (view) => {
    if (waiting.length && view.scrollTop + view.clientHeight > waiting[0].offsetTop) all();
  };
  /** Other rows, or the same in another order; what had the focus keeps it. @param {HTMLElement[]} lines */
  const fill = (lines) => {
    const held = /** @type {Document | ShadowRoot} */ (body.getRootNode()).activeElement;
    const keeps = held instanceof HTMLElement && body.contains(held);
    const idle = waiting.length === 0;
    waiting = keeps ? [] : lines.slice(AT_ONCE);
    const late = new Set(waiting);
    for (const line of lines) line.classList.toggle(LATER, late.has(line));
    body.replaceChildren(...lines);
    if (keeps && body.contains(held)) held.focus({ preventScroll: true });
    else if (body.parentElement?.parentElement) body.parentElement.parentElement.scrollTop = 0; // where an order begins
    if (idle && waiting.length) whenIdle(some);
  };
  return { fill, all, reach };
}
