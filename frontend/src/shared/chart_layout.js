// @ts-check
// Where the parts of a chart stand: arithmetic alone, so that it can be tested without a page. chart.js draws it.

/**
 * @typedef {object} Axis
 * @property {number} low
 * @property {number} high
 * @property {boolean} [log] whether equal ratios are equally long, rather than equal differences
 * @property {number[]} ticks where there is a number; some are left out where there is no room
 * @property {(value: number) => string} words a tick's number as it is written
 * @property {string} [title]
 *
 * @typedef {object} Point measured, with its quartiles where there are any
 * @property {number} x
 * @property {number} y
 * @property {number} [low]
 * @property {number} [high]
 *
 * @typedef {object} Series
 * @property {string} name stands beside it; empty: no name (a prediction beside what was measured)
 * @property {1 | 2 | 3} hue
 * @property {[number, number][]} [curve] e.g. predicted
 * @property {string} [dash] of the curve, drawn and left out in turn; none: a whole line
 * @property {Point[]} [points]
 * @property {boolean} [joined] whether a line goes through the points
 *
 * @typedef {object} Line upright, through the whole chart
 * @property {string} kind "here" (the present state) or "meet" (a place to know)
 * @property {number} at
 * @property {string} [words]
 *
 * @typedef {object} Note a remark beside a place, with a short line to it
 * @property {number} x
 * @property {number} y
 * @property {string} words
 *
 * @typedef {object} Chart
 * @property {number} width in pixels of the page, so that letters keep their size
 * @property {number} height
 * @property {Axis} across
 * @property {Axis} up
 * @property {Series[]} series
 * @property {Line[]} [lines]
 * @property {Note[]} [notes]
 *
 * @typedef {{ x: number, y: number, width: number, height: number }} Box
 */

export const ROW = 15; // from one row of letters to the next
const [TOP, RIGHT, BESIDE] = [8, 10, 6]; // above and right of the frame, and between a number and its axis
const GAP = 8; // between a curve and its name, and about so far from one tested place of a curve to the next

/** About as wide as words of 12 px are; where a page's letters are wider, there is still BESIDE. */
export const widthOf = (/** @type {string} */ words, bold = false) => [...words].length * (bold ? 7.7 : 7);

/**
 * A function from an axis to pixels.
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 */
export function scale({ low, high, log }, from, to) {
  const level = log ? Math.log : Number;
  const length = level(high) - level(low) || 1; // an axis has a length, even for a single point
  return (/** @type {number} */ value) => from + ((to - from) * (level(value) - level(low))) / length;
}

/**
 * The other way: from pixels to an axis.
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 */
export function unscale({ low, high, log }, from, to) {
  const share = (/** @type {number} */ place) => (place - from) / (to - from || 1);
  return (/** @type {number} */ place) =>
    log ? low * (high / low) ** share(place) : low + (high - low) * share(place);
}

/**
 * Round numbers from low to high of a logarithmic axis: 1, 2, 5, 10 …, or powers of ten alone where these are many.
 * @param {number} low
 * @param {number} high
 */
export function roundTicks(low, high, most = 7) {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => Number(`1e${first + i}`));
  const within = (/** @type {number} */ value) => low <= value && value <= high;
  const fine = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(within);
  return fine.length > most ? powers.filter(within) : fine;
}

/**
 * Ends of a logarithmic axis around positive values: a tenth of room on both sides, and a decade at least, so that a
 * flat curve looks flat.
 * @param {number[]} values
 * @returns {[number, number]}
 */
export function decade(values) {
  const known = values.filter((value) => value > 0 && value < Infinity);
  if (!known.length) return [0.1, 1];
  const [low, high] = [0.9 * Math.min(...known), 1.1 * Math.max(...known)];
  const more = Math.max(1, Math.sqrt((10 * low) / high));
  return [low / more, high * more];
}

/**
 * Every first, second, third … tick, so that their words do not touch.
 * @param {number[]} ticks
 * @param {(value: number) => number} place
 * @param {(value: number) => number} size
 */
export function spaced(ticks, place, size) {
  for (let step = 1; step < ticks.length; step++) {
    const left = ticks.filter((_, i) => i % step === 0);
    const apart = (/** @type {number} */ a, /** @type {number} */ b) =>
      Math.abs(place(b) - place(a)) >= (size(a) + size(b)) / 2 + 10;
    if (left.every((tick, i) => i === 0 || apart(left[i - 1], tick))) return left;
  }
  return ticks.slice(0, 1);
}

/**
 * The frame, the scales, the ticks that have room, and where every name and note stands.
 * @param {Chart} chart
 */
export function chartLayout(chart) {
  const { width, height, series, lines = [], notes = [] } = chart;
  const left = Math.ceil(Math.max(...chart.up.ticks.map((tick) => widthOf(chart.up.words(tick))), 10)) + BESIDE + 2;
  const top = TOP + (chart.up.title ? ROW : 0);
  const bottom = height - ROW - BESIDE - (chart.across.title ? ROW : 0);
  const frame = {
    x: left,
    y: top,
    width: Math.max(width - RIGHT - left, 1),
    height: Math.max(bottom - top, 1),
  };
  const across = scale(chart.across, left, left + frame.width);
  const up = scale(chart.up, top + frame.height, top);
  const ticksAcross = spaced(chart.across.ticks, across, (tick) => widthOf(chart.across.words(tick)));
  const ticksUp = spaced(chart.up.ticks, up, () => 12);
  const upright = lines
    .filter(({ at }) => chart.across.low <= at && at <= chart.across.high)
    .map((line) => ({
      ...line,
      x: across(line.at),
      ...beside(across(line.at), line.words ?? "", frame),
    }));
  const traces = series.map((one) => trace(one, across, up));
  const taken = upright.filter(({ words }) => words).map(({ box }) => box);
  const names = series.map((one, i) => {
    if (!one.name || !traces[i].length) return null;
    const box = freePlace(
      [...traces[i]].reverse().filter((_, place) => place % 5 === 0),
      [one.name],
      true,
      {
        frame,
        traces,
        taken,
      },
    );
    taken.push(box);
    return { words: one.name, hue: one.hue, box };
  });
  const remarks = notes.map((note) => {
    const at = /** @type {[number, number]} */ ([across(note.x), up(note.y)]);
    const rows = wrapped(note.words, Math.max(12, Math.floor((0.45 * frame.width) / 6.7)));
    const box = freePlace(around(at, frame), rows, false, {
      frame,
      traces,
      taken,
    });
    taken.push(box);
    return { at, rows, box };
  });
  return {
    frame,
    across,
    up,
    ticksAcross,
    ticksUp,
    lines: upright,
    traces,
    names: names.filter((name) => name !== null),
    notes: remarks,
  };
}

/**
 * The words of an upright line, low and on its right; on its left where on the right is too little room.
 * @param {number} x
 * @param {string} words
 * @param {Box} frame
 */
function beside(x, words, frame) {
  const width = widthOf(words);
  const right = frame.x + frame.width - x;
  const before = x - frame.x > right && right < width + 10;
  return {
    before,
    box: {
      x: before ? x - 5 - width : x + 5,
      y: frame.y + frame.height - ROW - 4,
      width,
      height: ROW,
    },
  };
}

/**
 * Places on a series, close enough together that no word fits between two of them.
 * @param {Series} series
 * @param {(value: number) => number} across
 * @param {(value: number) => number} up
 */
function trace({ curve = [], points = [], joined }, across, up) {
  /** @type {[number, number][]} */
  const places = joined ? [] : points.map(({ x, y }) => [across(x), up(y)]);
  for (const line of [curve, joined ? points.map(({ x, y }) => [x, y]) : []]) {
    const corners = line.map(([x, y]) => [across(x), up(y)]);
    corners.forEach(([x, y], i) => {
      const [x0, y0] = corners[i - 1] ?? [x, y];
      const steps = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0) / GAP));
      for (let step = i ? 1 : steps; step <= steps; step++) {
        places.push([x0 + ((x - x0) * step) / steps, y0 + ((y - y0) * step) / steps]);
      }
    });
  }
  for (const { x, low, high } of points) if (low && high) places.push([across(x), up(low)], [across(x), up(high)]);
  return places;
}

/**
 * The best place for rows of words beside one of `anchors`, the earlier the better: inside the frame, and on as few
 * curves and other words as possible.
 * @param {[number, number][]} anchors
 * @param {string[]} rows
 * @param {boolean} bold
 * @param {{ frame: Box, traces: [number, number][][], taken: Box[] }} around
 * @returns {Box}
 */
function freePlace(anchors, rows, bold, { frame, traces, taken }) {
  const size = {
    width: Math.max(...rows.map((row) => widthOf(row, bold))),
    height: ROW * rows.length,
  };
  let [best, least] = [/** @type {Box | null} */ (null), Infinity];
  anchors.forEach(([x, y], i) => {
    for (const [dx, dy] of [
      [-0.9, -1],
      [-0.5, -1],
      [0.1, 0],
      [-0.1, 0],
      [-0.5, 1],
      [0, 1],
    ]) {
      // prettier-ignore
      const box = {
        x: within(x + dx * size.width, frame.x + 2, frame.x + frame.width - size.width - 2),
        y: within(
          y + (dy < 0 ? -size.height - GAP : dy ? GAP : -size.height / 2),
          frame.y,
          frame.y + frame.height - size.height,
        ),
        ...size,
      };
      const cost =
        10 * hits(box, traces) + 40 * taken.filter((other) => meet(box, other)).length + (4 * i) / anchors.length;
      if (cost < least) [best, least] = [box, cost];
    }
  });
  return best ?? { x: frame.x, y: frame.y, ...size };
}

const within = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
  Math.max(low, Math.min(value, high));

const meet = (/** @type {Box} */ a, /** @type {Box} */ b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** How many places of curves lie on a box. */
function hits(/** @type {Box} */ { x, y, width, height }, /** @type {[number, number][][]} */ traces) {
  let count = 0;
  for (const places of traces) {
    for (const [px, py] of places) if (x - 3 < px && px < x + width + 3 && y < py && py < y + height) count++;
  }
  return count;
}

/** Places around one, nearer ones first: where a note may stand. */
function around(/** @type {[number, number]} */ [x, y], /** @type {Box} */ frame) {
  const far = [0.12, 0.25, 0.4, 0.55].flatMap((share) =>
    [
      [0, -1],
      [-1, -1],
      [1, -1],
      [0, 1],
      [-1, 1],
      [1, 1],
    ].map(
      (
        [dx, dy], // prettier-ignore
      ) => /** @type {[number, number]} */ ([x + 0.5 * dx * share * frame.width, y + dy * share * frame.height]),
    ),
  );
  return far;
}

/** Words in rows of at most so many letters, where no single word is longer. */
export function wrapped(/** @type {string} */ words, /** @type {number} */ most) {
  const rows = [""];
  for (const word of words.split(" ")) {
    const longer = `${rows.at(-1)} ${word}`.trim();
    if (longer.length > most && rows.at(-1)) rows.push(word);
    else rows[rows.length - 1] = longer;
  }
  return rows;
}
