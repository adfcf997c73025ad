// TrueOrFalse: statements with two radio buttons each. Which answers are right is not in here, nor in the model's traits.
//
// All state lives in the trait `answers`. A copy is kept in localStorage, so that a reload, or another lesson at the same
// address, finds it again.

import { element, watch } from "../shared/common.js";

export const STORED_UNDER = "mha-lab.true-or-false";

/** The answers in a stored text: only to these statements, only true or false. null where there is nothing to read. */
export function readAnswers(text, keys) {
  try {
    const stored = JSON.parse(text);
    return stored && Object.fromEntries(keys.filter((key) => typeof stored[key] === "boolean").map((key) => [key, stored[key]]));
  } catch {
    return null;
  }
}

/** What the browser has kept, or null: a browser may refuse to keep anything. */
function kept(keys) {
  try {
    return readAnswers(localStorage.getItem(STORED_UNDER), keys);
  } catch {
    return null;
  }
}

/** Keep the answers in the browser; false where it refuses. */
function keep(answers) {
  try {
    if (Object.keys(answers).length) localStorage.setItem(STORED_UNDER, JSON.stringify(answers));
    else localStorage.removeItem(STORED_UNDER);
    return true;
  } catch {
    return false;
  }
}

const sameAnswers = (a, b, keys) => keys.every((key) => a[key] === b[key]);

/** Kept answers fill a new model; a model that comes with answers of its own is kept instead. */
function initialize({ model }) {
  const keys = model.get("_statements").map(({ key }) => key);
  const take = (answers) => {
    if (sameAnswers(answers, model.get("answers"), keys)) return;
    model.set("answers", answers);
    model.save_changes();
  };
  const changed = () => keep(model.get("answers"));
  const elsewhere = (event) => {
    if (event.key === STORED_UNDER || event.key === null) take(kept(keys) ?? {}); // null: everything was cleared
  };
  if (Object.keys(model.get("answers")).length) changed();
  else take(kept(keys) ?? {});
  const end = watch(model, ["answers"], changed);
  window.addEventListener("storage", elsewhere); // another tab
  return () => {
    end();
    window.removeEventListener("storage", elsewhere);
  };
}

// On what takes the focus itself: JupyterLab's command mode has the arrow keys of everything else.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

function render({ model, el }) {
  // Radio groups and labels need names of their own in every view, and a second widget counts in a module of its own.
  const view = `mha-tf-${Math.random().toString(36).slice(2)}`;
  const change = (answers) => {
    model.set("answers", answers);
    model.save_changes();
  };

  const answer = (key, value) => change({ ...model.get("answers"), [key]: value });

  const rows = model.get("_statements").map(({ key, text, lesson }, index) => {
    const name = `${view}-${key}`;
    const radios = [true, false].map((value) =>
      element("input", { ...OWN_KEYS, type: "radio", name, value: String(value), onchange: () => answer(key, value) }),
    );
    const settles = element("span", { className: "mha-tf-settles", role: "status" });
    const choices = radios.map((radio, i) => element("label", {}, radio, ["true", "false"][i]));
    const group = element("div", { className: "mha-tf-choices", role: "radiogroup", "aria-labelledby": name }, ...choices);
    const row = element(
      "li",
      { className: "mha-tf-row" },
      element("span", { className: "mha-tf-number", "aria-hidden": "true" }, `${index + 1}`),
      element("span", { id: name }, text),
      group,
      settles,
    );
    return { key, radios, settles, row, answered: `Lesson ${lesson} settles it.` };
  });

  const bar = element("progress", { max: rows.length, "aria-hidden": "true" });
  const status = element("span", { className: "mha-tf-status", role: "status" });
  const clear = element("button", { ...OWN_KEYS, type: "button", onclick: () => change({}) }, "Clear my answers");
  const note = element("small", {}, "Kept in this browser and in the running notebook, and sent nowhere else.");
  const root = element(
    "div",
    { className: "mha mha-tf" },
    element("ol", {}, ...rows.map(({ row }) => row)),
    element("div", { className: "mha-tf-foot" }, bar, status, clear, note),
  );

  const show = () => {
    const answers = model.get("answers");
    for (const { key, radios, settles, answered } of rows) {
      radios.forEach((radio) => (radio.checked = String(answers[key]) === radio.value));
      settles.textContent = key in answers ? answered : "";
    }
    const count = rows.filter(({ key }) => key in answers).length;
    bar.value = count;
    status.textContent = `${count} of ${rows.length} answered`;
  };

  const end = watch(model, ["answers"], show);
  show();
  el.append(root);
  return () => {
    end();
    root.remove();
  };
}

export default { initialize, render };
