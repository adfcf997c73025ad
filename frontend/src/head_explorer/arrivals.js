// @ts-check
// What comes later than a drawing: long recordings, which are inflated first, and exact weights, for which the kernel is
// asked where the pointer rests (a recording is sent with 8 bits a weight).

import { decoded } from "../shared/traits.js";
import { chosen, isDeflated } from "./state.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {import("./state.js").Exact} Exact
 * @typedef {import("../shared/traits.js").Model<import("./traits.js").Traits>} Model
 */

const REST = 100; // ms that the pointer rests before the kernel is asked

/**
 * The bytes of long recordings that were on show.
 * @param {() => void} arrived
 * @param {(problem: unknown) => void} failed
 */
export function inflation(arrived, failed) {
  /** @type {Map<DataView, Uint8Array | null>} */
  const inflated = new Map(); // null while it is at work

  /** @param {DataView} view */
  async function inflate(view) {
    inflated.set(view, null);
    try {
      const stream = new Blob([/** @type {DataView<ArrayBuffer>} */ (view)]).stream();
      const inflating = stream.pipeThrough(new DecompressionStream("deflate"));
      inflated.set(view, new Uint8Array(await new Response(inflating).arrayBuffer()));
      arrived();
    } catch (problem) {
      failed(problem);
    }
  }

  return {
    /**
     * Whether what is to be shown is still being inflated; begins with it.
     * @param {Get} get
     */
    waits(get) {
      const source = chosen(get);
      const { weights } = source;
      if (!weights || !isDeflated(source) || inflated.get(weights)) return false;
      if (!inflated.has(weights)) inflate(weights);
      return true;
    },
    /** @param {Get} get */
    bytes: (get) => inflated.get(/** @type {DataView} */ (chosen(get).weights)) ?? null,
  };
}

/**
 * Exact weights of the layer on show, from the kernel; one question at a time.
 * @param {Model} model
 */
export function exactWeights(model) {
  /** @type {{ id: unknown[], weights: Float32Array }} */
  let sent = { id: [], weights: new Float32Array() };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resting;
  let asked = false;

  /**
   * [sentence, layer, first row, end], and of trained ones the head count.
   * @param {Get} get
   * @param {number} first
   * @param {number} end
   */
  const idOf = (get, first, end) => {
    const whose = get("source") === "trained" ? [get("num_heads")] : [];
    return [get("sentence"), get("layer"), first, end, ...whose];
  };

  return {
    /**
     * @param {Get} get
     * @returns {Exact | null}
     */
    here(get) {
      const [first, end] = /** @type {number[]} */ (sent.id.slice(2, 4));
      return String(sent.id) === String(idOf(get, first, end)) ? { first, end, weights: sent.weights } : null;
    },
    /**
     * Asks, if there is a kernel, for a small layer as a whole, or for one row.
     * @param {Get} get
     * @param {Shown} shown
     * @param {number} query
     */
    ask(get, { all, asking, told }, query) {
      const id = all.small ? idOf(get, 0, all.n) : idOf(get, asking[query], asking[query] + 1);
      clearTimeout(resting);
      if (told || asked || String(id) === String(sent.id)) return;
      resting = setTimeout(() => {
        try {
          model.send({ kind: "exact", id });
          asked = true;
        } catch {
          // Without a kernel the read-out says that its numbers have 8 bits.
        }
      }, REST);
    },
    /**
     * @param {unknown[]} id
     * @param {DataView} weights
     */
    answered(id, weights) {
      asked = false;
      sent = { id, weights: decoded(weights, Float32Array) ?? new Float32Array() };
    },
    dispose: () => clearTimeout(resting),
  };
}
