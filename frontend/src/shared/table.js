// @ts-check
// The same as a table: for who reads numbers, and for who does not see the picture.

import { element } from "./dom.js";

/**
 * @param {{ caption: string, columns: string[], rows: (string | number)[][], corner?: string }} table a row begins with its heading
 */
export function table({ caption, columns, rows, corner = "" }) {
  const heading = (/** @type {string | number} */ text, /** @type {string} */ scope) =>
    element("th", { scope }, String(text));
  const head = corner ? heading(corner, "col") : element("td");
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, head, ...columns.map((name) => heading(name, "col")))),
    element(
      "tbody",
      {},
      ...rows.map(([name, ...cells]) =>
        element("tr", {}, heading(name, "row"), ...cells.map((cell) => element("td", {}, String(cell)))),
      ),
    ),
  );
}

/**
 * A closed line "As a table" that makes its tables when it is opened, and again with update() while it is open.
 * @param {{ className: string, label: string, make: () => Node[], title?: string }} options `label` names the tables
 */
export function disclosure({ className, label, make, title = "As a table" }) {
  const region = element("div", { tabIndex: 0, role: "region", ariaLabel: label });
  const node = element("details", { className }, element("summary", {}, title), region);
  const update = () => {
    if (node.open) region.replaceChildren(...make());
  };
  node.addEventListener("toggle", update);
  return { node, update };
}
