// @ts-check
// Questions to the kernel: it may be busy, interrupted, restarted or gone, and a saved page has none. The page knows which,
// and says so; what was typed stays.

/** What is said where no answer comes. */
export const SILENCE = {
  none: "This page has no kernel to ask: open the notebook in JupyterLab and run its cells. What you typed stays.",
  lost: "The kernel was restarted or is gone, and with it what this explorer showed: run its cell again. What you typed stays.",
  late: "The kernel has not answered yet: it is busy or not running. What you typed stays; if it is busy, its answer will come.",
  stopped: "The kernel stopped without an answer: it was interrupted. What you typed stays; ask once more.",
};

const PATIENCE = 5000; // ms
const GRACE = 300; // ms in which an answer that Python sent last of all may still be on its way

/**
 * @typedef {keyof typeof SILENCE} Silence
 * @typedef {{ within?: number, onSilence?: (words: string, why: Silence) => void }} Asking
 *   `within` is how long one waits (ms) until the reader is told that the kernel is late; its answer may still come.
 */

/**
 * The kernel behind a model. Only what asks needs it: setting traits works without.
 * @param {import("@anywidget/types").AnyModel<any>} model
 */
export function kernelOf(model) {
  /** @type {Set<(words: string) => void>} */
  const listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Asking["onSilence"]} */
  let onSilence;
  let [alive, asked] = [true, 0]; // asked counts questions: a late sign of an earlier one means nothing

  const done = () => {
    clearTimeout(timer);
    onSilence = undefined;
    asked++;
  };
  /** @param {Silence} why */
  const silent = (why) => {
    const tell = onSilence;
    if (why !== "late") done();
    tell?.(SILENCE[why], why);
  };
  const lose = () => {
    if (!alive) return;
    alive = false;
    silent("lost");
    for (const tell of listeners) tell(SILENCE.lost);
  };
  model.on("comm_live_update", lose); // the notebook's widget manager says it when the kernel restarts or is changed

  return {
    /** Whether, as far as the page knows, the Python side of this model still exists. */
    get alive() {
      return alive;
    },
    /** Whether an answer is awaited. */
    get waiting() {
      return onSilence !== undefined;
    },
    /**
     * Tells the kernel the present traits, then sends the message. Another question before the answer takes its place.
     * @param {unknown} message
     * @param {Asking} [asking]
     * @returns {boolean} whether it was sent; if not, onSilence was called already
     */
    ask(message, { within = PATIENCE, onSilence: told = () => {} } = {}) {
      done();
      onSilence = told;
      const question = asked;
      // The kernel says when it has worked through a message. If it has not answered by then, it never will.
      const status = (/** @type {any} */ { content }) => {
        if (content?.execution_state !== "idle") return;
        setTimeout(() => question === asked && onSilence && silent("stopped"), GRACE);
      };
      if (!("send" in model)) {
        silent("none");
        return false;
      }
      if (!alive) {
        silent("lost");
        return false;
      }
      try {
        model.save_changes();
        model.send(message, { iopub: { status } });
      } catch {
        silent("lost");
        lose();
        return false;
      }
      timer = setTimeout(() => silent("late"), within);
      return true;
    },
    /** To be called when an answer came: nobody waits any more, and the kernel lives. */
    answered() {
      done();
      alive = true;
    },
    /**
     * Calls f with the words when the kernel turns out to be gone.
     * @param {(words: string) => void} f
     */
    onLost(f) {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    dispose() {
      done();
      listeners.clear();
      model.off(/** @type {any} */ ("comm_live_update"), lose);
    },
  };
}
