// @ts-check
// The heads for who does not see them: an option lies over each map.

import { element, uniqueName } from "../shared/dom.js";

/**
 * @typedef {import("./state.js").Get} Get
 * @typedef {import("./paint.js").Sheet} Sheet
 */

/** @param {HTMLElement} stage */
export function headList(stage) {
  const name = uniqueName();
  /** @type {HTMLElement[]} */
  const options = [];
  const id = (/** @type {number} */ head) => `${name}-${head}`;
  return {
    id,
    count: () => options.length,
    /**
     * @param {Sheet} sheet
     * @param {Get} get
     */
    list({ heads, layout }, get) {
      while (options.length > heads) options.pop()?.remove();
      while (options.length < heads) {
        const head = options.length;
        options.push(element("div", { id: id(head), role: "option", ariaLabel: `head ${head}` }));
        stage.append(options[head]);
      }
      options.forEach((option, head) => {
        const { x, y, wide, high } = layout.places[head];
        option.ariaSelected = String(get("pinned").includes(head));
        option.style.cssText = `left:${x}px;top:${y}px;width:${wide}px;height:${high}px`;
      });
    },
  };
}
