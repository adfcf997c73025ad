// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { amount, divisors, grouped, plural, signed } from "../../src/shared/numbers.js";

test("thousands are set apart, in every language the same", () => {
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(grouped(0.5, 2), "0.50");
});

test("a sign is always said, a minus is a true one", () => {
  assert.equal(signed(0.123), "+0.12");
  assert.equal(signed(-0.3), "−0.30");
});

test("divisors are all that divide", () => {
  assert.deepEqual(divisors(12), [1, 2, 3, 4, 6, 12]);
});

test("amounts have three digits and the unit that suits them", () => {
  assert.equal(amount(1536, "B"), "1.5 KiB");
  assert.equal(amount(0.0123, "s"), "12.3 ms");
  assert.equal(amount(999.6, "FLOP"), "1 kFLOP");
  assert.equal(amount(2e21, ""), "2,000 E");
  assert.equal(amount(4321, "s"), "4,321 s");
});

test("one thing is not told as many", () => {
  assert.deepEqual(
    [0, 1, 2, 1024].map((count) => plural(count, "token")),
    ["0 tokens", "1 token", "2 tokens", "1,024 tokens"],
  );
});
