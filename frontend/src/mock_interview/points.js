// @ts-check
// The points of one question: each with a box to tick, and the section that shows it.

import { element, named } from "../shared/dom.js";
import { whichSaid } from "./speech.js";

const part = named("mha-interview");

/**
 * @param {(link: string) => string} lead
 * @param {(point: number, on: boolean) => void} tick
 */
export function pointsOf(lead, tick) {
  const legend = element("legend");
  const list = element("ul");
  const node = part("points", "fieldset", { hidden: true }, legend, list);
  let shown = "";
  /**
   * @param {import("./traits.js").Question} question
   * @param {number[] | null} ticks null where they are still hidden
   */
  const show = ({ key, points }, ticks) => {
    node.hidden = ticks === null;
    if (ticks === null) {
      list.replaceChildren(); // what is hidden is not in the page either
      shown = "";
      return;
    }
    if (shown !== key) {
      legend.textContent = whichSaid(points.length);
      list.replaceChildren(...points.map((point, i) => row(point, i)));
      shown = key;
    }
    for (const [i, box] of list.querySelectorAll("input").entries()) box.checked = ticks.includes(i);
  };

  /**
   * @param {import("./traits.js").Point} point
   * @param {number} i
   */
  const row = ({ text, place, link }, i) => {
    const box = element("input", { type: "checkbox", onchange: () => tick(i, box.checked) });
    return element(
      "li",
      {},
      element("label", {}, box, element("span", {}, text)),
      element("a", { href: lead(link), target: "_blank", rel: "noopener" }, place),
    );
  };
  return { node, show };
}
