// @ts-check
// Results that are kept for a while: who goes back and forth between two states does not wait.

export const ROOM = 2 ** 25; // cells of all maps that are kept: 128 MiB
const MOST = 6;

/**
 * compute's results for the last few keys, as far as they have room.
 * @template {{ heads: number, n: number, s: number }} Result
 * @template {unknown[]} Given
 * @param {(...given: Given) => Result} compute
 * @returns {(key: unknown, ...given: Given) => Result}
 */
export function kept(compute) {
  /** @type {Map<string, Result>} */
  const results = new Map();
  return (key, ...given) => {
    const id = JSON.stringify(key);
    const result = results.get(id) ?? compute(...given);
    results.delete(id);
    results.set(id, result); // now the last
    const most = Math.max(1, Math.min(MOST, ROOM / (result.heads * result.n * result.s)));
    for (const oldest of results.keys()) if (results.size > most) results.delete(oldest);
    return result;
  };
}
