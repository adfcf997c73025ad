// @ts-check
// How this explorer's elements are named.

import { named } from "../shared/dom.js";

export const part = named("mha-heads");

/**
 * Things in one line, which wraps.
 * @param {...(Node | string)} parts
 */
export const line = (...parts) => part("line", "div", {}, ...parts);
