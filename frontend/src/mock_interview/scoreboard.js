// @ts-check
// The scores, a row for each dimension, and the sections of the points that did not come up.

import { element, named } from "../shared/dom.js";
import { AGAIN, ALL_SAID, missedPoints, SCORES, score } from "./speech.js";
import { missed } from "./state.js";

const part = named("mha-interview");

/** @param {(link: string) => string} lead */
export function scoreboard(lead) {
  const body = element("tbody");
  const table = element("table", {}, element("caption", {}, SCORES), body);
  const again = part("again", "div");
  const node = part("board", "div", { hidden: true }, table, again);
  /**
   * @param {import("./traits.js").Question[]} questions
   * @param {import("./traits.js").Ticked} ticked
   * @param {import("./state.js").Score[]} rows
   */
  const show = (questions, ticked, rows) => {
    node.hidden = rows.every(({ asked }) => asked === 0);
    if (node.hidden) return;
    body.replaceChildren(...rows.map(scoreRow));
    const list = missed(questions, ticked);
    const links = list.map((row) =>
      element(
        "li",
        {},
        element("a", { href: lead(row.link), target: "_blank", rel: "noopener" }, row.place),
        ` (${missedPoints(row)})`,
      ),
    );
    again.replaceChildren(
      element("b", {}, AGAIN),
      list.length ? element("ul", {}, ...links) : element("p", {}, ALL_SAID),
    );
  };
  return { node, show };
}

/** @param {import("./state.js").Score} row */
function scoreRow(row) {
  const bar = element("progress", { max: row.of || 1, value: row.said, "aria-hidden": "true" });
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, row.dimension),
    element("td", {}, bar),
    element("td", {}, score(row)),
  );
}
