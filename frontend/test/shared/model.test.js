// @ts-check
import assert from "node:assert/strict";
import test from "node:test";
import { modelOf, revived } from "../../src/shared/model.js";

test("bytes arrive as what anywidget gives: a view of them", () => {
  const { bytes } = JSON.parse('{"bytes": {"base64": "AQID"}}', revived);
  assert.deepEqual([...new Uint8Array(bytes.buffer)], [1, 2, 3]);
});

test("who listens hears of changes, and of nothing where nothing changed", () => {
  const model = modelOf({ heads: [1, 2], layer: 0 });
  let heard = 0;
  const act = () => heard++;
  model.on("change:heads", act);
  model.set("heads", [1, 2]);
  model.set("layer", 1);
  assert.equal(heard, 0);
  model.set("heads", [3]);
  assert.deepEqual([heard, model.get("heads")], [1, [3]]);
  model.off("change:heads", act);
  model.set("heads", []);
  assert.equal(heard, 1);
});

test("there is nobody to send to", () => {
  assert.ok(!("send" in modelOf({})));
});
