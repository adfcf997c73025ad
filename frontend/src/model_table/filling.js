// @ts-check
// Rows that are put in another order: those in sight come at once, and the others, a few at a time, when the page has
// nothing else to do. All at once would take longer than a frame.

const AT_ONCE = 9; // rows: as many as the table shows
const EACH_TIME = 6;

/** Safari knows no idle time. */
const whenIdle = (/** @type {() => void} */ act) =>
  "requestIdleCallback" in window ? requestIdleCallback(act, { timeout: 200 }) : setTimeout(act, 50);

/** @param {HTMLElement} body of the table; data-waiting says how many rows are still to come */
export function filling(body) {
  /** @type {HTMLElement[]} */
  let waiting = [];
  /** So many of them come; the others keep their place. */
  const come = (/** @type {number} */ count) => {
    body.append(...waiting.splice(0, count));
    body.style.paddingBottom = waiting.length ? `calc(${waiting.length} * var(--mha-row))` : "";
    body.dataset.waiting = String(waiting.length);
  };
  const some = () => {
    if (waiting.length) come(EACH_TIME);
    if (waiting.length) whenIdle(some);
  };
  /** All rows at once: somebody walks to them. */
  const all = () => {
    if (waiting.length) come(waiting.length);
  };
  /** Or scrolls to them. @param {HTMLElement} view what scrolls */
  const reach = (view) => {
    const last = /** @type {HTMLElement | null} */ (body.lastElementChild);
    if (last && view.scrollTop + view.clientHeight > last.offsetTop) all();
  };
  /** Other rows, or the same in another order; what had the focus keeps it. @param {HTMLElement[]} lines */
  const fill = (lines) => {
    const held = /** @type {Document | ShadowRoot} */ (body.getRootNode()).activeElement;
    const keeps = held instanceof HTMLElement && body.contains(held);
    const idle = waiting.length === 0;
    waiting = [...lines];
    body.replaceChildren();
    come(keeps ? lines.length : AT_ONCE);
    if (keeps && body.contains(held)) held.focus({ preventScroll: true });
    else if (body.parentElement?.parentElement) body.parentElement.parentElement.scrollTop = 0; // where an order begins
    if (idle && waiting.length) whenIdle(some);
  };
  return { fill, all, reach };
}
