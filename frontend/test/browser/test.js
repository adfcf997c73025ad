// @ts-check
// What the tests use of node:test, for a browser: where no Node is, the same files run there (tests/unit/test_frontend.py).

/** @type {Promise<unknown>[]} */
const running = [];
/** @type {string[]} */
const failures = [];

/**
 * @param {string} name
 * @param {() => unknown} body
 */
export default function test(name, body) {
  const run = async () => {
    try {
      await body();
    } catch (problem) {
      failures.push(`${name}: ${problem instanceof Error ? problem.stack : problem}`);
    }
  };
  running.push((running.at(-1) ?? Promise.resolve()).then(run)); // one after the other, as Node does it
}

export { test, test as it };

/**
 * @param {string} _
 * @param {() => void} body
 */
export const describe = (_, body) => body();

/** The failures of all tests, in words. */
export async function finished() {
  await Promise.all(running);
  return failures;
}
