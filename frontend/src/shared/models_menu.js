// @ts-check
// The menu of published models, under headings that say how sure their sizes are.

import { element } from "./dom.js";

/**
 * A select of models; `first` are options before them, `others` [name, why] cannot be chosen.
 * @param {{ name: string, group: string }[]} models
 * @param {[string, string][]} [others]
 * @param {HTMLOptionElement[]} [first]
 */
export function modelsMenu(models, others = [], first = []) {
  const option = (/** @type {string} */ name) => element("option", { value: name }, name);
  const groups = [...new Set(models.map(({ group }) => group))];
  const shelves = groups.map((label) =>
    element("optgroup", { label }, ...models.filter(({ group }) => group === label).map(({ name }) => option(name))),
  );
  const left = others.map(([name, why]) => element("option", { disabled: true, value: name }, `${name}: ${why}`));
  if (left.length) shelves.push(element("optgroup", { label: "not counted here" }, ...left));
  return element("select", {}, ...first, ...shelves);
}
