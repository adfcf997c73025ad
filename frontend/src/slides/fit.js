// @ts-check
// Explorers are as large as their slide allows. Other content that is a little too tall is made smaller, down to three
// fifths; beyond that it scrolls.

const LEAST = 0.6;
const STEP = 0.02;
const [LARGE, LARGEST] = [1.4, 1.8]; // of an explorer, and of one that is only a line or two
const [OFTEN, LONG] = [120, 4000]; // ms: how often it is looked at again, and how long, until it has found its size

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
  if (body.getBoundingClientRect().height) shrink(body, [/** @type {HTMLElement} */ (body.firstElementChild)]);
}

/**
 * Makes the explorers of a slide large, and then a step smaller each time that they do not fit, for they draw themselves
 * anew at each size; until they have theirs or somebody touches them: no hand makes the page jump.
 * @param {HTMLElement} body
 */
export function fitWhileItGrows(body) {
  const explorers = explorersIn(body);
  let tries = 0;
  const again = setInterval(() => {
    const room = body.getBoundingClientRect().height;
    if (!room) return;
    if (!tries++) {
      const share = room / /** @type {HTMLElement} */ (body.firstElementChild).getBoundingClientRect().height;
      for (const part of explorers) {
        const most = part.getBoundingClientRect().height < room / 4 ? LARGEST : LARGE;
        part.style.zoom = Math.max(LEAST, Math.min(most, share + STEP)).toFixed(2);
      }
    } else if (!fits(body)) {
      for (const part of explorers) part.style.zoom = Math.max(LEAST, zoomOf(part) - STEP).toFixed(2);
    }
  }, OFTEN);
  const end = () => clearInterval(again);
  for (const touched of ["pointerdown", "keydown"]) body.addEventListener(touched, end, { once: true });
  setTimeout(() => {
    end();
    fit(body); // what even the smallest explorer leaves no room for
  }, LONG);
}
