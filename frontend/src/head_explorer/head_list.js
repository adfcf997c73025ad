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
  /** @type {number | null} */
  let named = null;
  const id = (/** @type {number} */ head) => `${name}-${head}`;
  return {
    id,
    /**
     * Whether the options have other names: in the overview those of the layer.
     * @param {Sheet} sheet
     * @param {Get} get
     */
    stale: ({ layers }, get) => options.length === 0 || named !== (layers > 1 ? get("layer") : null),
    /**
     * @param {Sheet} sheet
     * @param {Get} get
     */
    list({ layout, layers }, get) {
      const [heads, layer] = [get("num_heads"), get("layer")];
      named = layers > 1 ? layer : null;
      while (options.length > heads) options.pop()?.remove();
      while (options.length < heads) {
        options.push(element("div", { id: id(options.length), role: "option" }));
        stage.append(options[options.length - 1]);
      }
      options.forEach((option, head) => {
        const { x, y, wide, high } = layout.places[layers > 1 ? layer * heads + head : head];
        const chosen = get("view") === "lines" ? get("head") === head : get("pinned").includes(head);
        option.ariaLabel = layers > 1 ? `layer ${layer}, head ${head}` : `head ${head}`;
        option.ariaSelected = String(chosen);
        option.style.cssText = `left:${x}px;top:${y}px;width:${wide}px;height:${high}px`;
      });
    },
  };
}
