// @ts-check
// Where words stand in a chart: beside what they name, inside the frame, on as few curves and other words as possible.

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {[number, number]} Place */
/** @typedef {{ frame: Box, traces: Place[][], taken: Box[] }} Surroundings the frame, places on curves, other words */

export const ROW = 15; // from one row of letters to the next
export const GAP = 8; // between a curve and its name, and about so far from one place on a curve to the next

/** Where a name stands beside its curve, in widths and heights of its own: above on the left, above, right, left, below. */
const SIDES = [
  [-0.9, -1],
  [-0.5, -1],
  [0.1, 0],
  [-0.1, 0],
  [-0.5, 1],
  [0, 1],
];
const AROUND = [-1, 1].flatMap((dy) => [0, -1, 1].map((dx) => [dx, dy])); // a note's place: above and below, then aside
const HIT = 10; // what it costs to stand on a place of a curve; on other words:
const MET = 40;

/** About as wide as words of 12 px are. */
export const widthOf = (/** @type {string} */ words, bold = false) => [...words].length * (bold ? 7.7 : 7);

/**
 * The best place for a name: beside one of its curve's places, the earlier the better.
 * @param {string} name
 * @param {Place[]} curve
 * @param {Surroundings} surroundings
 */
export function placeOfName(name, curve, surroundings) {
  return freePlace(curve, [name], true, surroundings);
}

/**
 * The best place for a note in rows, near the place that it is about.
 * @param {string[]} rows
 * @param {Place} at
 * @param {Surroundings} surroundings
 */
export function placeOfNote(rows, [x, y], surroundings) {
  const { width, height } = surroundings.frame;
  const anchors = [0.12, 0.25, 0.4, 0.55].flatMap((share) =>
    AROUND.map(([dx, dy]) => /** @type {Place} */ ([x + 0.5 * dx * share * width, y + dy * share * height])),
  );
  return freePlace(anchors, rows, false, surroundings);
}

/**
 * @param {Place[]} anchors
 * @param {string[]} rows
 * @param {boolean} bold
 * @param {Surroundings} surroundings
 * @returns {Box}
 */
function freePlace(anchors, rows, bold, { frame, traces, taken }) {
  const width = Math.max(...rows.map((row) => widthOf(row, bold)));
  const height = ROW * rows.length;
  let best = { x: frame.x, y: frame.y, width, height };
  let least = Infinity;
  anchors.forEach(([x, y], i) => {
    for (const [dx, dy] of SIDES) {
      const above = dy < 0 ? -height - GAP : dy > 0 ? GAP : -height / 2;
      const box = {
        x: within(x + dx * width, frame.x + 2, frame.x + frame.width - width - 2),
        y: within(y + above, frame.y, frame.y + frame.height - height),
        width,
        height,
      };
      const late = (4 * i) / anchors.length;
      const cost = HIT * hits(box, traces) + MET * taken.filter((other) => meet(box, other)).length + late;
      if (cost < least) [best, least] = [box, cost];
    }
  });
  return best;
}

const within = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
  Math.max(low, Math.min(value, high));

const meet = (/** @type {Box} */ a, /** @type {Box} */ b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** How many places of curves lie on a box. */
function hits(/** @type {Box} */ { x, y, width, height }, /** @type {Place[][]} */ traces) {
  let count = 0;
  for (const places of traces) {
    for (const [px, py] of places) if (x - 3 < px && px < x + width + 3 && y < py && py < y + height) count++;
  }
  return count;
}

/** Words in rows of at most so many letters, where no single word is longer. */
export function wrapped(/** @type {string} */ words, /** @type {number} */ most) {
  const rows = [""];
  for (const word of words.split(" ")) {
    const longer = `${rows[rows.length - 1]} ${word}`.trim();
    if (longer.length > most && rows[rows.length - 1]) rows.push(word);
    else rows[rows.length - 1] = longer;
  }
  return rows;
}
