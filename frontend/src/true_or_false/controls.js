// @ts-check
// The elements: a row for each statement, and what stands below them.

import { element, named, rootOf, say, uniqueName } from "../shared/dom.js";
import { CLEAR, progress, settledIn, WHERE_KEPT } from "./speech.js";
import { counted } from "./state.js";

const part = named("mha-tf");

/**
 * @param {import("./traits.js").Statement[]} statements
 * @param {{ answer: (key: string, value: boolean) => void, clear: () => void }} acts
 */
export function controls(statements, { answer, clear }) {
  const view = uniqueName();
  const keys = statements.map(({ key }) => key);
  const rows = statements.map((statement, i) => statementRow(statement, i, view, answer));
  const bar = element("progress", { max: rows.length, "aria-hidden": "true" });
  const status = part("status", "span", { role: "status" });
  const button = element("button", { type: "button", onclick: clear }, CLEAR);
  const root = rootOf(
    "mha-tf",
    element("ol", {}, ...rows.map(({ node }) => node)),
    part("foot", "div", {}, bar, status, button, element("small", {}, WHERE_KEPT)),
  );

  /** @param {import("./traits.js").Answers} answers */
  const show = (answers) => {
    for (const row of rows) row.show(answers);
    const count = counted(answers, keys);
    bar.value = count;
    say(status, progress(count, keys.length));
  };
  return { root, show };
}

/**
 * @param {import("./traits.js").Statement} statement
 * @param {number} index
 * @param {string} view a name that makes ids and radio groups differ from those of other views
 * @param {(key: string, value: boolean) => void} answer
 */
function statementRow({ key, text, lesson }, index, view, answer) {
  const name = `${view}-${key}`;
  const radios = [true, false].map((value) =>
    element("input", { type: "radio", name, value: String(value), onchange: () => answer(key, value) }),
  );
  const choices = radios.map((radio, i) => element("label", {}, radio, ["true", "false"][i]));
  const settles = part("settles", "span", { role: "status" });
  const node = part(
    "row",
    "li",
    {},
    part("number", "span", { "aria-hidden": "true" }, `${index + 1}`),
    element("span", { id: name }, text),
    part(
      "choices",
      "div",
      { className: "mha-choices mha-tf-choices", role: "radiogroup", "aria-labelledby": name },
      ...choices,
    ),
    settles,
  );
  /** @param {import("./traits.js").Answers} answers */
  const show = (answers) => {
    for (const radio of radios) radio.checked = String(answers[key]) === radio.value;
    say(settles, key in answers ? settledIn(lesson) : "");
  };
  return { node, show };
}
