// Until every explorer imports from the rooms themselves.
export { element } from "./dom.js";
export { countDrawing, scheduler } from "./frames.js";
export { stepped } from "./keys.js";
export { divisors, grouped } from "./numbers.js";
export { changer, decoded, watch } from "./traits.js";
export { shownWords } from "./words.js";
export const { abs, ceil, floor, max, min, round, sqrt } = Math;
