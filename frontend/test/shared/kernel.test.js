// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { kernelOf, SILENCE } from "../../src/shared/kernel.js";

/** A model whose kernel the test plays. */
function played() {
  /** @type {Record<string, (() => void)[]>} */
  const listeners = {};
  /** @type {any[]} */
  const sent = [];
  const model = /** @type {any} */ ({
    on: (/** @type {string} */ event, /** @type {() => void} */ act) => (listeners[event] ??= []).push(act),
    off: (/** @type {string} */ event) => delete listeners[event],
    save_changes() {},
    send: (/** @type {unknown} */ message, /** @type {any} */ callbacks) => sent.push([message, callbacks]),
  });
  return { model, sent, listeners, restart: () => listeners.comm_live_update.forEach((act) => act()) };
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const idle = { content: { execution_state: "idle" } };

/** @param {string[]} heard */
const into = (heard) => (/** @type {string} */ words, /** @type {string} */ why) => {
  assert.equal(words, SILENCE[/** @type {keyof typeof SILENCE} */ (why)]);
  heard.push(why);
};

test("an answer ends the waiting, and nobody is told of a silence", async () => {
  const { model, sent } = played();
  const kernel = kernelOf(model);
  /** @type {string[]} */
  const heard = [];
  assert.ok(kernel.ask("read", { within: 10, onSilence: into(heard) }) && kernel.waiting);
  kernel.answered();
  sent[0][1].iopub.status(idle);
  await pause(350);
  assert.deepEqual([heard, kernel.waiting, kernel.alive], [[], false, true]);
});

test("a late kernel may still answer; one that has worked through the message and did not answer never will", async () => {
  const { model, sent } = played();
  const kernel = kernelOf(model);
  /** @type {string[]} */
  const heard = [];
  kernel.ask("read", { within: 10, onSilence: into(heard) });
  await pause(30);
  assert.deepEqual([heard, kernel.waiting], [["late"], true]);
  sent[0][1].iopub.status(idle);
  await pause(350);
  assert.deepEqual([heard, kernel.waiting, kernel.alive], [["late", "stopped"], false, true]);
});

test("the sign that an earlier question is worked through says nothing of the present one", async () => {
  const { model, sent } = played();
  const kernel = kernelOf(model);
  /** @type {string[]} */
  const heard = [];
  kernel.ask("first", { within: 9999, onSilence: into(heard) });
  kernel.ask("second", { within: 9999, onSilence: into(heard) });
  sent[0][1].iopub.status(idle);
  await pause(350);
  assert.deepEqual([heard, kernel.waiting], [[], true]);
  kernel.dispose();
});

test("a restart is told at once, to who asks and to who only listens; later questions are not sent", () => {
  const { model, sent, restart } = played();
  const kernel = kernelOf(model);
  /** @type {string[]} */
  const heard = [];
  let lost = 0;
  kernel.onLost(() => lost++);
  kernel.ask("read", { onSilence: into(heard) });
  restart();
  assert.deepEqual([heard, lost, kernel.alive], [["lost"], 1, false]);
  assert.equal(kernel.ask("again", { onSilence: into(heard) }), false);
  assert.deepEqual([heard, sent.length], [["lost", "lost"], 1]);
});

test("a message that cannot be sent, and a page without a kernel, say so", () => {
  const { model } = played();
  model.send = () => {
    throw new Error("comm is disposed");
  };
  /** @type {string[]} */
  const heard = [];
  const kernel = kernelOf(model);
  kernel.ask("read", { onSilence: into(heard) });
  assert.deepEqual([heard, kernel.alive], [["lost"], false]);
  delete model.send;
  kernelOf(model).ask("read", { onSilence: into(heard) });
  assert.deepEqual(heard, ["lost", "none"]);
});

test("disposed, it listens no more", () => {
  const { model, listeners } = played();
  kernelOf(model).dispose();
  assert.deepEqual(listeners, {});
});
