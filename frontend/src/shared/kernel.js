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
  return new Kernel(model);
}

export class Kernel {
  /** Whether, as far as the page knows, the Python side of this model still exists. */
  alive = true;
  /** @type {Set<(words: string) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Asking["onSilence"]} */
  #tell;
  #question = 0; // a late sign of an earlier one means nothing

  /** @param {import("@anywidget/types").AnyModel<any>} model */
  constructor(model) {
    this.model = model;
    model.on("comm_live_update", this.#lose); // the widget manager says it when the kernel restarts or is another one
  }

  /** Whether an answer is awaited. */
  get waiting() {
    return this.#tell !== undefined;
  }

  /**
   * Tells the kernel the present traits, then sends the message. Another question before the answer takes its place.
   * @param {unknown} message
   * @param {Asking} [asking]
   * @returns {boolean} whether it was sent; if not, onSilence was called already
   */
  ask(message, { within = PATIENCE, onSilence = () => {} } = {}) {
    this.#done();
    this.#tell = onSilence;
    if (!("send" in this.model) || !this.alive) {
      this.#silent(this.alive ? "none" : "lost");
      return false;
    }
    try {
      this.model.save_changes();
      this.model.send(message, { iopub: { status: this.#workedThrough(this.#question) } });
    } catch {
      this.#lose();
      return false;
    }
    this.#timer = setTimeout(() => this.#silent("late"), within);
    return true;
  }

  /** To be called when an answer came: nobody waits any more, and the kernel lives. */
  answered() {
    this.#done();
    this.alive = true;
  }

  /**
   * Calls f with the words when the kernel turns out to be gone; gives what ends it.
   * @param {(words: string) => void} f
   */
  onLost(f) {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  }

  dispose() {
    this.#done();
    this.#listeners.clear();
    this.model.off(/** @type {any} */ ("comm_live_update"), this.#lose);
  }

  /** The kernel says when it has worked through a message. If it has not answered by then, it never will. */
  #workedThrough(/** @type {number} */ question) {
    return (/** @type {any} */ { content }) => {
      if (content?.execution_state !== "idle") return;
      setTimeout(() => question === this.#question && this.waiting && this.#silent("stopped"), GRACE);
    };
  }

  #lose = () => {
    if (!this.alive) return;
    this.alive = false;
    this.#silent("lost");
    for (const tell of this.#listeners) tell(SILENCE.lost);
  };

  #silent(/** @type {Silence} */ why) {
    const tell = this.#tell;
    if (why !== "late") this.#done();
    tell?.(SILENCE[why], why);
  }

  #done() {
    clearTimeout(this.#timer);
    this.#tell = undefined;
    this.#question++;
  }
}
