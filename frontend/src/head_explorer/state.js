// @ts-check
// What is on show, derived from the traits: the maps of all words, and those that are left when some words are hidden.

import { divisors } from "../shared/numbers.js";
import { decoded } from "../shared/traits.js";
import { weightsOf } from "../shared/weights.js";
import { shownWords } from "../shared/words.js";
import { allowedCells, headRows, permutation, renormalised, reordered, sharedKeys } from "./maths.js";

/**
 * @typedef {import("./traits.js").Traits} Traits
 * @typedef {<Name extends keyof Traits>(trait: Name) => Traits[Name]} Get reads a trait
 *
 * @typedef {object} Source what is to be shown; of a projection without weights
 * @property {string[]} tokens
 * @property {string[]} [context]
 * @property {DataView} mask
 * @property {DataView} [weights]
 *
 * @typedef {object} Maps of `heads` heads: n words look at s keys
 * @property {number} heads
 * @property {string[]} words
 * @property {string[]} keys
 * @property {number} n
 * @property {number} s
 * @property {boolean} own whether the words look at themselves
 * @property {boolean} small whether the kernel gives all exact weights of a layer at once, and not row by row
 * @property {Uint8Array | null} allowed (n, s), null where every cell may be seen
 * @property {Uint8Array | Float32Array} numbers (heads, n, s): weights, or the bytes of a recording
 * @property {boolean} told whether the numbers are exact
 * @property {number} groups heads of keys that are shared by groups of heads; 0: each has its own
 * @property {number} layers 1; in the overview the heads are those of so many layers, one layer after the other
 *
 * @typedef {Maps & { rest: Iterator<void> | null, rows: number }} All all words; `rest` computes a further row, `rows` are there
 * @typedef {Maps & { all: All, asking: number[], seen: number[], held: number[] | null }} Shown those words of `all` that are
 *   not hidden: rows and columns stand at `asking` and `seen` of all, `held` is what the hidden ones held in each head so far
 *
 * @typedef {object} Exact weights that the kernel has sent: rows first … end of all heads of the layer on show
 * @property {number} first
 * @property {number} end
 * @property {Float32Array} weights
 */

const SMALL = 64 ** 2; // cells of a map
const DEFLATED = 256 ** 2; // cells; a recording of larger maps comes deflated

/**
 * What the sliders move, and over which values.
 * @param {Get} get
 * @returns {{ trait: "num_heads" | "layer", label: string, steps: number[] }[]}
 */
export function dials(get) {
  const layers = /** @type {const} */ ({ trait: "layer", label: "Layer" });
  const byLayer = get("num_layers") > 1 ? [{ ...layers, steps: [...Array(get("num_layers")).keys()] }] : [];
  if (get("source") === "recorded") return byLayer;
  const trained = get("_recordings").map(({ num_heads }) => num_heads ?? 1);
  const steps = get("source") === "trained" ? [...new Set(trained)].sort((a, b) => a - b) : divisors(get("d_model"));
  return [{ trait: "num_heads", label: "Heads", steps }, ...byLayer];
}

/**
 * The recordings that the menu offers: of trained head counts those of the present one.
 * @param {Get} get
 */
export function recordings(get) {
  const heads = get("num_heads");
  return [...get("_recordings"), ...get("_added")].filter(({ num_heads = heads }) => num_heads === heads);
}

/**
 * The present recording, or the projection's tokens and mask.
 * @param {Get} get
 * @returns {Source}
 */
export function chosen(get) {
  if (get("source") === "projection") return { tokens: get("tokens"), mask: get("_mask") };
  const all = recordings(get);
  return all.find(({ sentence }) => sentence === get("sentence")) ?? all[0];
}

/** @param {Source} source */
export const isDeflated = ({ tokens, context = tokens, weights }) =>
  Boolean(weights) && tokens.length * context.length > DEFLATED;

/**
 * The maps of all words. A projection's are still to be computed.
 * @param {Get} get
 * @param {Uint8Array | null} inflated the bytes of a deflated recording
 * @param {Exact | null} exact
 * @returns {All}
 */
export function allMaps(get, inflated, exact) {
  const source = chosen(get);
  const words = shownWords(source.tokens);
  const keys = source.context ? shownWords(source.context) : words;
  const layers = get("view") === "overview" ? get("num_layers") : 1;
  const [heads, n, s] = [layers * get("num_heads"), words.length, keys.length];
  const allowed = allowedCells(s, decoded(source.mask, Uint8Array), get("causal"), get("window"));
  const small = n * s <= SMALL;
  const groups = get("num_kv_heads") % heads; // as many as heads: each has its own
  const own = words === keys;
  const maps = { heads, words, keys, n, s, own, small, allowed, groups, layers, rest: null, rows: Infinity };
  if (!source.weights) return { ...maps, told: true, ...projected(get, n, allowed) };
  if (exact && small && layers === 1) return { ...maps, told: true, numbers: exact.weights };
  const bytes = inflated ?? decoded(source.weights, Uint8Array) ?? new Uint8Array();
  const from = layers > 1 ? 0 : get("layer") * heads * n * s;
  return { ...maps, told: false, numbers: bytes.subarray(from, from + heads * n * s) };
}

/**
 * @param {Get} get
 * @param {number} n
 * @param {Uint8Array | null} allowed
 */
function projected(get, n, allowed) {
  const [heads, width] = [get("num_heads"), get("d_model")];
  const keyHeads = get("num_kv_heads") || heads;
  const order = get("shuffle") ? permutation(width, get("shuffle")) : null;
  const [query, key] = [get("_query"), get("_key")].map((view) => {
    const matrix = decoded(view, Float32Array) ?? new Float32Array();
    return order ? reordered(matrix, order) : matrix;
  });
  const numbers = new Float32Array(heads * n * n);
  const shared = sharedKeys(key, width, heads, keyHeads);
  return { numbers, rest: headRows(numbers, query, shared, n, width, heads, allowed, keyHeads), rows: 0 };
}

/**
 * The maps without the words that are hidden. A sentence of which nothing would be left is shown whole.
 * @param {All} all
 * @param {string[]} hidden
 * @returns {Shown}
 */
export function withoutHidden(all, hidden) {
  const places = (/** @type {string[]} */ words) => [...words.keys()];
  const seen = places(all.keys).filter((j) => !hidden.includes(all.keys[j]));
  if (!seen.length || seen.length === all.s)
    return { ...all, all, asking: places(all.words), seen: places(all.keys), held: null };
  const asking = all.own ? seen : places(all.words);
  const [n, s] = [asking.length, seen.length];
  const { allowed } = all;
  return {
    ...all,
    all,
    asking,
    seen,
    n,
    s,
    words: asking.map((i) => all.words[i]),
    keys: seen.map((j) => all.keys[j]),
    allowed: allowed && Uint8Array.from(asking.flatMap((i) => seen.map((j) => allowed[i * all.s + j]))),
    numbers: new Float32Array(all.heads * n * s),
    held: [],
  };
}

/**
 * Computes until then: rows of a projection's maps; and where words are hidden, the heads without them.
 * @param {Shown} shown
 * @param {number} end
 */
export function advance({ all, asking, seen, n, s, numbers, held }, end) {
  for (; all.rest && performance.now() < end; all.rows++) if (all.rest.next().done) all.rest = null;
  const ready = Math.min(all.heads, Math.floor((all.rest ? all.rows : Infinity) / all.n));
  while (held && held.length < ready && performance.now() < end) {
    const left = renormalised(mapOf(all, held.length), all.s, seen, asking);
    numbers.set(left.map, held.length * n * s);
    held.push(left.held);
  }
}

/**
 * Rows that are there, in all heads together.
 * @param {Shown} shown
 */
export const readyRows = ({ all, held, n }) => (held ? held.length * n : all.rows);

/**
 * Weights from `from` on, made of the bytes of a recording where that is what there is.
 * @param {Maps} maps
 * @param {number} from
 * @param {number} count
 */
function weights({ numbers }, from, count) {
  const part = numbers.subarray(from, from + count);
  return part instanceof Uint8Array ? weightsOf(part) : part;
}

/**
 * The weights of a head; with `less`, what it has more of than that head.
 * @param {Maps} maps
 * @param {number} head
 * @param {number} [less]
 */
export function mapOf(maps, head, less) {
  const cells = maps.n * maps.s;
  const map = weights(maps, head * cells, cells);
  if (less === undefined) return map;
  const other = weights(maps, less * cells, cells);
  return map.map((weight, i) => weight - other[i]);
}

/**
 * A row of weights, and whether these are the exact ones.
 * @param {Shown} shown
 * @param {number} head
 * @param {number} query
 * @param {Exact | null} exact
 */
export function rowOf(shown, head, query, exact) {
  const { n, s, told, all, asking, seen } = shown;
  const at = asking[query];
  if (!told && exact && exact.first <= at && at < exact.end) {
    const from = (head * (exact.end - exact.first) + at - exact.first) * all.s;
    const row = exact.weights.subarray(from, from + all.s);
    return { row: s === all.s ? row : renormalised(row, all.s, seen, [0]).map, told: true };
  }
  return { row: weights(shown, (head * n + query) * s, s), told };
}

/**
 * [head, row, column] of the cell that is read among what is on show, or null.
 * @param {Shown} shown
 * @param {number[]} hovered
 */
export function hoveredCell({ heads, asking, seen }, [head, query, key]) {
  const [row, column] = [asking.indexOf(query), seen.indexOf(key)];
  return head < heads && row >= 0 && column >= 0 ? [head, row, column] : null;
}

/**
 * The cell that a pixel shows, as `hovered` has it: of the pool × pool cells in it, the one with the largest weight.
 * @param {Shown} shown
 * @param {{ head: number, query: number, key: number }} at
 * @param {number} pool
 */
export function brightest({ n, s, numbers, asking, seen }, { head, query, key }, pool) {
  const [top, left] = [query, key].map((at) => Math.floor(at / pool) * pool);
  let [row, column, most] = [query, key, -1];
  for (let i = top; i < Math.min(n, top + pool); i++) {
    for (let j = left; j < Math.min(s, left + pool); j++) {
      const number = numbers[(head * n + i) * s + j];
      if (number > most) [row, column, most] = [i, j, number];
    }
  }
  return [head, asking[row], seen[column]];
}
