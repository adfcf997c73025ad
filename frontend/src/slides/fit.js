// @ts-check
// Explorers are as large as their slide allows. Other content that is a little too tall is made smaller, down to three
// fifths; beyond that it scrolls.

const LEAST = 0.6;
const STEP = 0.02;
const [LARGE, LARGEST] = [1.4, 1.8]; // of an explorer, and of one that is only a line or two
const [OFTEN, LONG] = [150, 4000]; // ms: how often it is looked at again, and how long, until it has found its size

/** @param {HTMLElement} body its only child is the content */
function fits(body) {
  const content = /** @type {HTMLElement} */ (body.firstElementChild);
  const tall = content.getBoundingClientRect().height > body.getBoundingClientRect().height + 0.5;
  return !tall && content.scrollWidth <= content.clientWidth + 1;
}

/**
 * @param {HTMLElement} body
 * @returns {HTMLElement[]}
 */
const explorersIn = (body) =>
  [...body.querySelectorAll(".part.explorer")].map((part) => /** @type {HTMLElement} */ (part));

/** @param {HTMLElement} element */
const zoomOf = (element) => Number(element.style.zoom || 1);

/**
 * Makes the elements smaller, step by step, until all fits.
 * @param {HTMLElement} body
 * @param {HTMLElement[]} elements
 */
function shrink(body, elements) {
  for (const element of elements) {
    while (!fits(body) && zoomOf(element) > LEAST + STEP / 2) {
      element.style.zoom = (zoomOf(element) - STEP).toFixed(2);
    }
  }
}

/** @param {HTMLElement} body */
export function fit(body) {
  if (!body.getBoundingClientRect().height) return;
  shrink(body, [...explorersIn(body), /** @type {HTMLElement} */ (body.firstElementChild)]);
}

/**
 * Makes the explorers of a slide large, and smaller while they grow, until they have their size or somebody touches them:
 * no hand makes the page jump.
 * @param {HTMLElement} body
 */
export function fitWhileItGrows(body) {
  const room = body.getBoundingClientRect().height;
  for (const part of explorersIn(body)) {
    part.style.zoom = String(part.getBoundingClientRect().height < room / 4 ? LARGEST : LARGE);
  }
  const again = setInterval(() => fit(body), OFTEN);
  const end = () => clearInterval(again);
  for (const touched of ["pointerdown", "keydown"]) body.addEventListener(touched, end, { once: true });
  setTimeout(end, LONG);
}
