// @ts-check
// Elements of the page. Text given here is always text, never HTML.

/**
 * An element with properties or attributes, and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties] `style` may be a text; what the element has no property for becomes an attribute
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  dress(node, properties);
  node.append(...children);
  return node;
}

/**
 * Sets properties of an element, or attributes where it has no such property.
 * @param {Element} node
 * @param {Record<string, unknown>} properties
 */
function dress(node, properties) {
  const own = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (node));
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) own[name] = value;
    else node.setAttribute(name, String(value));
  }
}

/**
 * An SVG element with attributes and children.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * A function like `element` whose first argument ends the class: named("mha-heads")("maps", "div") makes .mha-heads-maps.
 * @param {string} prefix
 */
export function named(prefix) {
  /**
   * @template {keyof HTMLElementTagNameMap} Tag
   * @param {string} name
   * @param {Tag} tag
   * @param {Record<string, unknown>} [properties]
   * @param {...(Node | string)} children
   * @returns {HTMLElementTagNameMap[Tag]}
   */
  return (name, tag, properties, ...children) =>
    element(tag, { className: `${prefix}-${name}`, ...properties }, ...children);
}

/**
 * The root of an explorer: the notebook's own shortcuts (arrow keys, Enter) rest while something in it has the focus.
 * @param {string} prefix of its classes
 * @param {...(Node | string)} children
 */
export function rootOf(prefix, ...children) {
  const root = element("div", { className: `mha ${prefix}`, "data-lm-suppress-shortcuts": "true" }, ...children);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  return root;
}

/**
 * A label around what it names.
 * @param {...(Node | string)} parts
 */
export const field = (...parts) => element("label", {}, ...parts);

/**
 * Writes a text where another one stands: a live region speaks only when something changed.
 * @param {Node} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A name for ids and radio groups that no other view has: a second explorer counts in a module of its own. */
export const uniqueName = () => `mha-${Math.random().toString(36).slice(2)}`;
