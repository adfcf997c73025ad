// @ts-check
// The teacher's page: a window of its own with the notes of the slide, what comes next, and a clock.

const STYLE = `
  :root { color-scheme: light dark; }
  body { margin: 0; padding: 16px 24px; font: 18px / 1.5 system-ui, sans-serif; }
  header { display: flex; flex-wrap: wrap; gap: 4px 24px; align-items: baseline; border-bottom: 1px solid; margin-bottom: 12px; }
  h1 { font-size: 22px; margin: 0; }
  pre { white-space: pre-wrap; font-size: 15px; }
  table { border-collapse: collapse; }
  td, th { padding: 2px 10px; text-align: left; vertical-align: top; }
  button { font: inherit; min-height: 32px; }
  output { font-variant-numeric: tabular-nums; }
`;
const TURNS = {
  next: ["ArrowRight", "ArrowDown", "PageDown", " ", "n"],
  prev: ["ArrowLeft", "ArrowUp", "PageUp", "p"],
};

/** @param {number} ms */
export const clock = (ms) => {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** @param {HTMLElement | null | undefined} slide */
const titleOf = (slide) => slide?.dataset.title ?? "the end";

/**
 * What opens the window.
 * @param {import("reveal.js").RevealApi} deck
 */
export function speakerWindow(deck) {
  let began = Date.now();
  /** @type {Window | null} */
  let opened = null;

  const tell = () => {
    const page = opened?.document;
    const slide = deck.getCurrentSlide();
    const [title, notes, next, place] = ["title", "notes", "next", "place"].map((id) => page?.getElementById(id));
    if (!title || !notes || !next || !place) return;
    const all = deck.getSlides();
    const here = all.indexOf(slide);
    title.textContent = titleOf(slide);
    notes.innerHTML = slide.querySelector("aside.notes")?.innerHTML ?? "";
    const { next: more } = deck.availableFragments();
    next.textContent = more ? "an answer on this slide" : titleOf(all[here + 1]);
    place.textContent = `${here + 1} of ${all.length}`;
  };
  const tick = () => {
    const time = opened?.document.getElementById("time");
    if (time) time.textContent = clock(Date.now() - began);
  };
  for (const event of ["slidechanged", "fragmentshown", "fragmenthidden"]) deck.on(event, tell);
  setInterval(tick, 500);

  return () => {
    opened = window.open("", "mha-speaker", "width=720,height=800");
    if (!opened) return deck.configure({ showNotes: !deck.getConfig().showNotes }); // no second window: beside the slide
    furnish(opened.document);
    opened.document.getElementById("again")?.addEventListener("click", () => {
      began = Date.now();
      tick();
    });
    opened.onkeydown = (event) => {
      if (event.key === " " && event.target instanceof Element && event.target.closest("button, summary")) return;
      if (TURNS.next.includes(event.key)) deck.next();
      else if (TURNS.prev.includes(event.key)) deck.prev();
      else return;
      event.preventDefault();
    };
    tell();
    tick();
  };
}

/** @param {Document} page */
function furnish(page) {
  page.title = "Speaker notes";
  page.documentElement.lang = "en";
  page.head.innerHTML = `<style>${STYLE}</style>`;
  page.body.innerHTML = `<header><output id="time"></output> <span id="place"></span>
    <span>then: <span id="next"></span></span> <button id="again">clock to 0:00</button></header>
    <main><h1 id="title"></h1><div id="notes"></div></main>`;
}
