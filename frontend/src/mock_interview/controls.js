// @ts-check
// The elements: a row of marks, the question with its answer, and the scores below.

import { element, named, rootOf, say, uniqueName } from "../shared/dom.js";
import { stepped } from "../shared/keys.js";
import { pointsOf } from "./points.js";
import { scoreboard } from "./scoreboard.js";
import { BACK, heading, mark, ON, show as showWords, status, TYPED, WHERE_KEPT, WHERE_KEPT_HERE } from "./speech.js";
import { answered, MOST_LETTERS, scores, ticksOf } from "./state.js";

const part = named("mha-interview");

/** @typedef {import("./traits.js").Question} Question */
/** @typedef {{ at: number, said: import("./traits.js").Said, ticked: import("./traits.js").Ticked }} Shown */
/**
 * @typedef Acts
 * @property {(at: number) => void} go
 * @property {(at: number) => void} step as with the arrow keys: the focus stays where it is
 * @property {(typed: string) => void} type
 * @property {() => void} open
 * @property {(point: number, on: boolean) => void} tick
 */

/**
 * @param {Question[]} questions
 * @param {boolean} kernel whether there is one that keeps the answers
 * @param {(link: string) => string} lead what a link leads to on this page
 * @param {Acts} acts
 */
export function controls(questions, kernel, lead, acts) {
  const name = uniqueName();
  const last = questions.length - 1;
  let at = 0;
  const marks = rowOfMarks(questions, acts, () => at);
  const head = part("head", "p", { id: `${name}-head`, role: "status" });
  const asks = part("asks", "p", { id: `${name}-asks`, tabIndex: -1 });
  const typed = element("textarea", {
    rows: 4,
    maxLength: MOST_LETTERS,
    "aria-labelledby": `${name}-typed ${name}-asks`,
    oninput: () => acts.type(typed.value),
  });
  const label = part("typed", "label", {}, element("span", { id: `${name}-typed` }, TYPED), typed);
  const open = element("button", { type: "button", onclick: () => acts.open() });
  const points = pointsOf(lead, acts.tick);
  const back = element("button", { type: "button", onclick: () => acts.go(at - 1) }, BACK);
  const on = element("button", { type: "button", onclick: () => acts.go(at + 1) }, ON);
  const told = part("status", "span", { role: "status" });
  const board = scoreboard(lead);
  const root = rootOf(
    "mha-interview",
    marks.node,
    head,
    asks,
    label,
    part("line", "div", {}, open),
    points.node,
    part("line", "div", {}, back, on, told),
    board.node,
    element("small", {}, kernel ? WHERE_KEPT : WHERE_KEPT_HERE),
  );

  /** @param {Shown} shown */
  const show = (shown) => {
    const { said, ticked } = shown;
    at = Math.min(Math.max(shown.at, 0), last);
    const question = questions[at];
    const ticks = ticksOf(question, ticked);
    marks.show(ticked);
    say(head, heading(at, questions));
    say(asks, question.asks);
    if (typed.value !== (said[question.key] ?? "")) typed.value = said[question.key] ?? "";
    say(open, showWords(typed.value));
    open.hidden = ticks !== null;
    points.show(question, ticks);
    [back.disabled, on.disabled] = [at === 0, at === last];
    const rows = scores(questions, ticked);
    say(told, status(answered(questions, ticked), questions.length, rows));
    board.show(questions, ticked, rows);
  };
  return { root, show, toQuestion: () => asks.focus({ preventScroll: true }) };
}

/**
 * The row of marks, one a question; arrow keys walk through it.
 * @param {Question[]} questions
 * @param {Acts} acts
 * @param {() => number} at the question that is asked
 */
function rowOfMarks(questions, acts, at) {
  const marks = questions.map((_, i) => element("button", { type: "button", onclick: () => acts.go(i) }));
  const node = part("marks", "div", { role: "group", "aria-label": "Questions" }, ...marks);
  node.addEventListener("keydown", (event) => {
    const next = stepped(event, at(), questions.length);
    if (next === null) return;
    event.preventDefault();
    acts.step(next);
    marks[next].focus();
  });
  /** @param {Shown["ticked"]} ticked */
  const show = (ticked) => {
    for (const [i, button] of marks.entries())
      dressMark(button, i, questions[i], ticksOf(questions[i], ticked), i === at());
  };
  return { node, show };
}

/**
 * A mark of the row: its number, and whether its question is answered.
 * @param {HTMLButtonElement} button
 * @param {number} i
 * @param {Question} question
 * @param {number[] | null} ticks
 * @param {boolean} current
 */
function dressMark(button, i, question, ticks, current) {
  say(button, `${i + 1}`);
  button.dataset.answered = String(ticks !== null);
  button.setAttribute("aria-label", mark(i, question, ticks));
  button.tabIndex = current ? 0 : -1; // the arrow keys reach the others
  if (current) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}
