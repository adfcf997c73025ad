// @ts-check
// The measurement in the kernel as the page knows it: asked for, running, silent for long, or lost with its kernel.

import { kernelOf } from "../shared/kernel.js";
import { watch } from "../shared/traits.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {import("../shared/traits.js").Model<Traits>} Model
 */

const NEEDS_PYTHON = "Measuring needs Python: open this page in Jupyter with a kernel.";
const STALLED =
  "No word from the kernel: it is busy, was restarted, or is not running. What is measured stays. After a restart, run this cell again.";

/**
 * @param {Model} model
 * @param {(message: { kind: string }) => void} send throws where there is no kernel
 * @param {() => void} changed
 */
export function measuring(model, send, changed) {
  const canAsk = "send" in model;
  // `asked` until the kernel answers, `stalled` when it has not told of progress for long.
  let [asked, stalled] = [false, false];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const kernel = kernelOf(model);

  const stall = () => {
    clearTimeout(timer);
    stalled = true;
    changed();
  };
  const wait = () => {
    clearTimeout(timer);
    const shown = model.get("timings").find(({ tokens }) => tokens === model.get("timing_tokens"));
    const longest = Math.max(0, ...(shown?.rows ?? []).map(({ predicted }) => predicted));
    timer = setTimeout(stall, 1000 * (model.get("_patience") + 8 * longest));
  };
  const heard = () => {
    asked = stalled = false;
    clearTimeout(timer);
    if (model.get("measuring")) wait();
    changed();
  };
  kernel.onLost(() => {
    if (asked || model.get("measuring")) stall();
  });
  const end = watch(model, ["timings", "measuring", "progress", "seconds_left", "timing_message"], heard);
  if (model.get("measuring")) wait();

  return {
    canAsk,
    running: () => canAsk && model.get("measuring") && !stalled,
    busy: () => (asked || model.get("measuring")) && canAsk && !stalled,
    words() {
      if (!canAsk) return NEEDS_PYTHON;
      if (stalled) return STALLED;
      return asked ? "Waiting for the kernel …" : model.get("timing_message");
    },
    /** @param {"measure" | "cancel"} kind */
    ask(kind) {
      asked ||= kind === "measure";
      stalled = false;
      wait();
      try {
        send({ kind });
      } catch {
        stalled = true;
      }
      changed();
    },
    dispose() {
      clearTimeout(timer);
      kernel.dispose();
      end();
    },
  };
}
