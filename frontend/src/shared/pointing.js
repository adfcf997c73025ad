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
 * @typedef Acts
 * @property {(spot: Spot) => unknown} read shows what is at the spot and gives a name of it (a text or a number), null where
 *   there is nothing. The second tap on what has the same name pins: where cells are large that is a cell, in thumbnails the
 *   whole thumbnail.
 * @property {(spot: Spot) => void} pin
 * @property {() => void} clear
 */

/**
 * @param {HTMLElement | SVGElement} node
 * @param {Acts} acts
 * @returns {() => void} what ends it
 */
export function pointing(node, acts) {
  const last = { byTouch: false }; // a Safari's click does not tell what it comes from
  const listeners = [...byMouse(acts, last), ...byTouch(node, acts, last)];
  // Whether a drag scrolls is decided by its first touchmove (CSS's touch-action could not tell where it begins).
  for (const [name, listener] of listeners) node.addEventListener(name, listener, { passive: name !== "touchmove" });
  return () => {
    for (const [name, listener] of listeners) node.removeEventListener(name, listener);
  };
}

/** @typedef {[string, (event: any) => void][]} Listeners */

/**
 * @param {Acts} acts
 * @param {{ byTouch: boolean }} last
 * @returns {Listeners}
 */
function byMouse({ read, pin, clear }, last) {
  /** @type {(event: MouseEvent) => Spot} */
  const spot = ({ clientX, clientY, target }) => {
    return { clientX, clientY, target: /** @type {Element} */ (target), pointerType: "mouse" };
  };
  /** @type {(act: (event: PointerEvent) => void) => (event: PointerEvent) => void} */
  const mouse = (act) => (event) => {
    if (event.pointerType !== "mouse") return;
    last.byTouch = false;
    act(event);
  };
  return [
    ["pointermove", mouse((event) => read(spot(event)))],
    ["pointerdown", mouse(() => {})],
    ["pointerleave", mouse(clear)],
    // The second click of a double click meets another picture: the first has already rearranged it.
    ["click", (/** @type {MouseEvent} */ event) => last.byTouch || event.detail > 1 || pin(spot(event))],
  ];
}

/**
 * @param {HTMLElement | SVGElement} node
 * @param {Acts} acts
 * @param {{ byTouch: boolean }} last
 * @returns {Listeners}
 */
function byTouch(node, { read, pin, clear }, last) {
  /** @type {unknown} */
  let tapped = null; // the name of what was tapped last
  /** @type {{ id: number, x: number, y: number, name: unknown, moved: boolean } | null} */
  let touch = null;

  /** @type {(event: PointerEvent) => Spot} */
  const spot = ({ clientX, clientY, pointerType }) => {
    const root = /** @type {Document | ShadowRoot} */ (node.getRootNode());
    return { clientX, clientY, target: root.elementFromPoint(clientX, clientY), pointerType };
  };
  /** @param {PointerEvent} event */
  const down = (event) => {
    if (event.pointerType === "mouse" || touch) return;
    last.byTouch = true;
    touch = { id: event.pointerId, x: event.clientX, y: event.clientY, name: read(spot(event)) ?? null, moved: false };
  };
  /** @param {PointerEvent} event */
  const move = (event) => {
    if (event.pointerType === "pen" && !touch) read(spot(event)); // it hovers
    if (touch?.id !== event.pointerId) return;
    touch.moved ||= Math.hypot(event.clientX - touch.x, event.clientY - touch.y) > STILL;
    if (touch.moved) tapped = read(spot(event)) ?? null;
  };
  /** @param {PointerEvent} event */
  const up = (event) => {
    if (touch?.id !== event.pointerId) return;
    const { name, moved } = touch;
    touch = null;
    if (moved) return;
    const again = name !== null && name === tapped;
    tapped = again ? null : name; // after a pin the picture may be another one: the next tap reads
    if (again) pin(spot(event));
    else if (name === null) clear();
  };
  /** @param {PointerEvent} event */
  const cancel = (event) => {
    if (touch?.id === event.pointerId) touch = null;
  };
  /** @param {TouchEvent} event */
  const hold = (event) => {
    if (touch && touch.name !== null && event.touches.length === 1 && event.cancelable) event.preventDefault();
  };
  return [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", cancel],
    ["touchmove", hold],
  ];
}
