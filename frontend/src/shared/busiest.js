// @ts-check

/**
 * The feature to which the heads add most, whatever its sign: there a change is seen best.
 * @param {number[][]} shares a row for each head
 */
export function busiest(shares) {
  const traffic = shares[0].map((_, d) => shares.reduce((total, share) => total + Math.abs(share[d]), 0));
  return traffic.indexOf(Math.max(...traffic));
}
