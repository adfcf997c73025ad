// @ts-check
// While no answer comes: how long one has waited decides what a reader is told.

const SOON = 400; // ms after which a reader is told that Python is at it …
const LATE = 5000; // … and that it may not be there at all

/**
 * begin() starts a wait or goes on with it, end() ends it; `tell` is given the words whenever they change.
 * @param {{ soon: string, late: string }} words
 * @param {(words: string) => void} tell
 */
export function waiting({ soon, late }, tell) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asked = 0; // when Python was asked for what is not known yet

  const begin = () => {
    clearTimeout(timer);
    asked ||= performance.now();
    const since = performance.now() - asked;
    if (since > LATE) return tell(late);
    tell(since > SOON ? soon : "");
    timer = setTimeout(begin, (since > SOON ? LATE : SOON) - since + 1);
  };
  const end = () => {
    clearTimeout(timer);
    asked = 0;
  };
  return { begin, end };
}
