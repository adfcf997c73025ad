// @ts-check
// When to draw: in the next frame, once; and whatever in the page makes a new drawing necessary.

/**
 * schedule() draws in the next frame, once however often it was called; schedule.pending tells, schedule.cancel() forgets.
 * @param {() => void} draw
 */
export function scheduler(draw) {
  const schedule = Object.assign(
    () => {
      schedule.pending ||= requestAnimationFrame(() => {
        schedule.pending = 0;
        draw();
      });
    },
    {
      pending: 0,
      cancel() {
        cancelAnimationFrame(schedule.pending);
        schedule.pending = 0;
      },
    },
  );
  return schedule;
}

/**
 * Counts the drawings of a root element: who waits for one finds it there.
 * @param {HTMLElement} root
 */
export function countDrawing(root) {
  root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
}

const THEME = ["data-jp-theme-name", "data-jp-theme-light"];
const CONTRAST = "(forced-colors: active)";

/**
 * Gives what calls `redraw` once the node has had one width, and not none, for three frames. A theme comes over several: its
 * rules arrive late, and JupyterLab hides the page in one frame and shows it in the next before any observer has looked.
 * @param {HTMLElement} node
 * @param {() => void} redraw
 */
function whenSteady(node, redraw) {
  let [frame, width, frames] = [0, 0, 0];
  function look() {
    frames = node.clientWidth === width ? frames + 1 : 1;
    width = node.clientWidth;
    if (frames < 3) frame = requestAnimationFrame(look);
    else if (width) redraw(); // who is hidden for longer is observed to be shown again
  }
  const begin = () => {
    cancelAnimationFrame(frame);
    frames = 0;
    look();
  };
  return Object.assign(begin, { cancel: () => cancelAnimationFrame(frame) });
}

/**
 * Calls `redraw` when the node gets another width or the screen another fineness, when it comes into view (JupyterLab
 * blanks what is scrolled away), and when the theme or the contrast changes; once at the beginning too. Gives what ends it.
 * @param {HTMLElement} node
 * @param {() => void} redraw a scheduler's
 */
export function observe(node, redraw) {
  let [width, ratio] = [-1, 0];
  const resized = new ResizeObserver(() => {
    if (node.clientWidth === width && devicePixelRatio === ratio) return; // a drawing changes the height itself
    [width, ratio] = [node.clientWidth, devicePixelRatio];
    redraw();
  });
  try {
    resized.observe(node, { box: "device-pixel-content-box" }); // a finer screen changes this size alone
  } catch {
    resized.observe(node); // Safari does not know that box
  }
  const scrolled = new IntersectionObserver(redraw);
  scrolled.observe(node);
  const steady = whenSteady(node, redraw);
  const themed = new MutationObserver(steady);
  themed.observe(document.body, { attributeFilter: THEME });
  const contrast = matchMedia(CONTRAST);
  contrast.addEventListener("change", redraw);
  return () => {
    for (const observer of [resized, scrolled, themed]) observer.disconnect();
    steady.cancel();
    contrast.removeEventListener("change", redraw);
  };
}
