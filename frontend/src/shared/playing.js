// @ts-check
// Play: step after step, or at once to the end for who wants no motion.

/**
 * @param {{ at: () => number, first: number, last: () => number, go: (step: number) => void, changed: () => void, pause: number }} acts
 *   changed: it begins or ends; pause: milliseconds between two steps
 */
export function playing({ at, first, last, go, changed, pause }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    changed();
  };
  const start = () => {
    if (calm.matches) return go(last());
    if (at() >= last()) go(first);
    timer = setInterval(() => {
      go(Math.min(at() + 1, last()));
      if (at() >= last()) stop();
    }, pause);
    changed();
  };
  return {
    pause: stop,
    toggle: () => (timer === undefined ? start() : stop()),
    get on() {
      return timer !== undefined;
    },
    /** Whether it goes to the end at once. */
    get calm() {
      return calm.matches;
    },
  };
}
