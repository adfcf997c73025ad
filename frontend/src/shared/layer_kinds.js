// @ts-check
// The layers of a published model by their kind: what a query looks at, and what is kept. published.Kind, in the page.

/**
 * What one layer keeps: entries of heads · (key + value) numbers, or of `fixed` ones.
 * @typedef {{ kind: string, layers: number, heads: number, key: number, value: number, fixed: number, window: number, every: number }} Store
 *
 * @typedef {object} Kind
 * @property {string} letter
 * @property {number} layers
 * @property {Store[]} stores of one layer
 * @property {number} width multiply-adds for a query and a key in all heads; 0: there are no keys
 * @property {number} picked keys that an indexer leaves of the last store; 0: all
 * @property {boolean} shared whether it takes an earlier layer's keys and values
 * @property {string} words
 *
 * @typedef {{ name: string, group: string, source: string, layers: string, pattern: string, shared: number, kinds: Kind[] }} Preset
 */

/**
 * Entries that a store keeps of a text.
 * @param {{ window: number, every: number }} store
 * @param {number} tokens
 */
export function entries({ window, every }, tokens) {
  const all = Math.floor(tokens / every);
  return window > 0 ? Math.min(all, window) : all;
}

/** @param {{ fixed: number, heads: number, key: number, value: number }} store */
const numbersOf = ({ fixed, heads, key, value }) => fixed || heads * (key + value);

/**
 * Keys that the last of so many tokens looks at.
 * @param {Kind} kind
 * @param {number} tokens
 */
export function keysSeen({ stores, width, picked }, tokens) {
  if (!width) return 0;
  return stores.reduce((sum, store, i) => {
    const all = entries(store, tokens);
    return sum + (picked && i === stores.length - 1 ? Math.min(all, picked) : all);
  }, 0);
}

/**
 * FLOPs of QKᵀ and AV in one layer, with as many keys for every token as for the last.
 * @param {Kind} kind
 * @param {number} tokens
 */
export const productFlops = (kind, tokens) => 2 * tokens * keysSeen(kind, tokens) * kind.width;

/**
 * Numbers that one layer keeps of a text.
 * @param {Kind} kind
 * @param {number} tokens
 */
export const numbersKept = ({ stores, shared }, tokens) =>
  shared ? 0 : stores.reduce((sum, store) => sum + entries(store, tokens) * numbersOf(store), 0);
