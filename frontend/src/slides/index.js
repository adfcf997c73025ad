// @ts-check
// A lesson as slides: reveal.js turns the pages, and the explorers of the slides in view are alive.

/*! reveal.js 6.0.2. Copyright (C) 2011-2026 Hakim El Hattab, http://hakim.se, and reveal.js contributors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */

import Reveal from "reveal.js";
import { start, wear } from "../shared/alive.js";
import { fit, fitWhileItGrows } from "./fit.js";
import { speakerWindow } from "./speaker.js";

/**
 * An explorer that has the focus has the keys; Escape gives them back to the slides.
 * @param {Element | null} element
 */
const inExplorer = (element) => Boolean(element?.closest(".mha-host"));

/** @type {Event | null} the key that gave the keys back, which the slides leave alone */
let leaving = null;

const onPaper = location.search.includes("print-pdf");
if (onPaper) {
  // reveal.js lays paper out from one frame to the next, and who prints without a window draws none
  window.requestAnimationFrame = (next) => window.setTimeout(() => next(performance.now()), 0);
}

wear();
const deck = new Reveal({
  width: 1280,
  height: 720,
  margin: 0,
  center: false,
  minScale: 0.1,
  maxScale: 4,
  transition: "none",
  navigationMode: "linear",
  controlsTutorial: false,
  slideNumber: "c/t",
  hash: true,
  postMessage: false,
  postMessageEvents: false,
  pdfSeparateFragments: false, // one page a slide, with its answers; ?print-pdf&pdfSeparateFragments has both
  pdfMaxPagesPerSlide: 1,
  keyboardCondition: (/** @type {Event} */ event) => event !== leaving && !inExplorer(document.activeElement),
});

const bodies = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".slide-body"));

/** What stands on a slide comes to life when the slide is near. */
const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    const body = /** @type {HTMLElement} */ (target);
    fit(body);
    for (const host of /** @type {NodeListOf<HTMLElement>} */ (body.querySelectorAll(".mha-host"))) {
      start(host).then(() => fitWhileItGrows(body));
    }
  }
});

deck.on("slidechanged", () => {
  const held = document.activeElement;
  if (held instanceof HTMLElement && inExplorer(held)) held.blur(); // it is out of sight: the keys turn pages again
});
/** An answer that is not shown yet is not spoken either. */
const hush = () => {
  for (const part of document.querySelectorAll(".fragment")) {
    part.toggleAttribute("aria-hidden", false);
    if (!part.classList.contains("visible")) part.setAttribute("aria-hidden", "true");
  }
};
for (const event of ["slidechanged", "fragmentshown", "fragmenthidden"]) deck.on(event, hush);
deck.on("fragmentshown", (/** @type {any} */ event) => {
  const status = document.querySelector(".aria-status");
  if (status) status.textContent = event.fragment.textContent;
});
deck.on("pdf-ready", () => bodies.forEach(fit));
const notes = speakerWindow(deck);
deck.addKeyBinding({ keyCode: 83, key: "S", description: "Speaker notes, in a window of their own" }, notes);

document.addEventListener(
  "keydown",
  (event) => {
    const held = document.activeElement;
    const turn = { PageDown: () => deck.next(), PageUp: () => deck.prev() }[event.key];
    if (inExplorer(held) && turn) {
      event.preventDefault(); // a clicker sends these keys, and turns pages wherever the focus is
      event.stopPropagation();
      turn();
    }
    if (inExplorer(held) && event.key === "Escape" && held instanceof HTMLElement) {
      leaving = event;
      held.blur();
    }
    if (event.key === "p" && (event.ctrlKey || event.metaKey) && !onPaper) {
      event.preventDefault(); // on paper the slides are laid out anew
      location.search = "print-pdf&asked";
    }
  },
  true, // before the explorer, which keeps its keys to itself
);

if (onPaper && location.search.includes("asked")) deck.on("pdf-ready", () => print());
deck.initialize().then(() => {
  if (!onPaper) bodies.forEach((body) => near.observe(body));
  document.body.dataset.ready = "true";
});
