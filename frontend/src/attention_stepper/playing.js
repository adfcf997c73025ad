// @ts-check
// Play: stage after stage, or all at once for who wants no motion.

const PAUSE = 1300; // ms between the stages

/**
 * @param {{ stage: () => number, last: number, go: (stage: number) => void, changed: () => void }} acts changed: it begins or ends
 */
export function playing({ stage, last, go, changed }) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const pause = () => {
    clearInterval(timer);
    timer = undefined;
    changed();
  };
  const start = () => {
    if (calm.matches) return go(last);
    if (stage() === last) go(1);
    timer = setInterval(() => {
      go(stage() + 1);
      if (stage() === last) pause();
    }, PAUSE);
    changed();
  };
  return {
    pause,
    toggle: () => (timer === undefined ? start() : pause()),
    /** What the button does now. */
    get word() {
      return timer !== undefined ? "pause" : calm.matches ? "all stages" : "play";
    },
  };
}
