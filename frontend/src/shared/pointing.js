// @ts-check
// One way of pointing for mouse, finger and pen. Nothing needs hovering.
//
// Mouse: moving reads, a click pins, leaving clears.
// Finger and pen: a touch reads, and what was read stays; a second tap on the same thing pins; a drag that begins on a thing
// moves the read-out, and one that begins on nothing scrolls the page; a tap on nothing clears.

const STILL = 10; // CSS pixels that a tap may move

/**
 * Where one points. `target` is the element there: during a drag an event's own stays the one where it began.
 * @typedef {{ clientX: number, clientY: number, target: Element | null, pointerType: string }} Spot
 */

/**
 * @param {HTMLElement | SVGElement} node
 * @param {{ read: (spot: Spot) => unknown, pin: (spot: Spot) => void, clear: () => void }} acts
 *   read shows what is at the spot and gives a name of it (a text or a number), null where there is nothing. The second tap
 *   on what has the same name pins: in a picture where each cell is large that is a cell, in thumbnails the whole thumbnail.
 * @returns {() => void} what ends it
 */
export function pointing(node, { read, pin, clear }) {
  /** @type {unknown} */
  let last = null; // the name of what was tapped
  /** @type {{ id: number, x: number, y: number, name: unknown, moved: boolean } | null} */
  let touch = null;
  let byMouse = true; // what the next click comes from; a Safari's click does not tell

  /** @type {(event: PointerEvent | MouseEvent) => Spot} */
  const spotOf = ({ clientX, clientY, target }) => {
    if (byMouse) return { clientX, clientY, target: /** @type {Element} */ (target), pointerType: "mouse" };
    const root = /** @type {Document | ShadowRoot} */ (node.getRootNode());
    return { clientX, clientY, target: root.elementFromPoint(clientX, clientY), pointerType: "touch" };
  };

  /** @param {PointerEvent} event */
  const down = (event) => {
    byMouse = event.pointerType === "mouse";
    if (byMouse || touch) return;
    const name = read(spotOf(event)) ?? null;
    touch = { id: event.pointerId, x: event.clientX, y: event.clientY, name, moved: false };
  };

  /** @param {PointerEvent} event */
  const move = (event) => {
    if (event.pointerType === "mouse") {
      byMouse = true;
      read(spotOf(event));
    } else if (touch?.id === event.pointerId) {
      touch.moved ||= Math.hypot(event.clientX - touch.x, event.clientY - touch.y) > STILL;
      if (touch.moved) last = read(spotOf(event)) ?? null;
    } else if (event.pointerType === "pen" && !touch) {
      read(spotOf(event)); // a pen that hovers
    }
  };

  /** @param {PointerEvent} event */
  const up = (event) => {
    if (touch?.id !== event.pointerId) return;
    const { name, moved } = touch;
    touch = null;
    if (moved) return;
    if (name === null) {
      last = null;
      clear();
    } else if (name === last) {
      last = null; // the picture may be another one now: the next tap reads
      pin(spotOf(event));
    } else last = name;
  };

  /** @param {PointerEvent} event */
  const cancel = (event) => {
    if (touch?.id === event.pointerId) touch = null;
  };

  /** @param {PointerEvent} event */
  const leave = (event) => {
    if (event.pointerType === "mouse") clear();
  };

  /** @param {MouseEvent} event */
  const click = (event) => {
    // The second click of a double click meets another picture: the first has already rearranged it.
    if (byMouse && event.detail < 2) pin(spotOf(event));
  };

  /** @param {TouchEvent} event */
  const hold = (event) => {
    if (touch && touch.name !== null && event.touches.length === 1 && event.cancelable) event.preventDefault();
  };

  /** @type {[string, (event: any) => void][]} */
  const listeners = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", cancel],
    ["pointerleave", leave],
    ["click", click],
  ];
  for (const [name, listener] of listeners) node.addEventListener(name, listener);
  // Whether a drag scrolls is decided by its first touchmove; CSS's touch-action could not tell where it begins.
  node.addEventListener("touchmove", /** @type {EventListener} */ (hold), { passive: false });
  return () => {
    for (const [name, listener] of listeners) node.removeEventListener(name, listener);
    node.removeEventListener("touchmove", /** @type {EventListener} */ (hold));
  };
}
