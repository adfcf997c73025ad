// @ts-check
// What is derived from the traits: which models are asked for, in which order, and how many have what.

/** @typedef {import("./traits.js").Row} Row */
/** @typedef {Record<string, boolean>} Ask */

/** Columns of numbers, each of which can be an axis. */
export const NUMBERS = /** @type {const} */ ([
  "year",
  "layers",
  "d_model",
  "num_heads",
  "num_kv_heads",
  "d_head",
  "ratio",
  "cached",
]);

/** @typedef {typeof NUMBERS[number]} Numbers */

/** The letters of layers that look at the whole text. */
const FAR = "GN";

/**
 * Whether a model has a feature; null where its source does not say.
 * @param {Row} row
 * @param {string} feature
 */
export const has = (row, feature) => (row.has[feature] === null ? null : row.has[feature] !== "");

/**
 * Whether a model has all that is asked of it: true, false, or null where its source does not say enough.
 * @param {Row} row
 * @param {Ask} ask
 */
export function answers(row, ask) {
  const each = Object.entries(ask).map(([feature, wanted]) => {
    const found = has(row, feature);
    return found === null ? null : found === wanted;
  });
  return each.includes(false) ? false : each.includes(null) ? null : true;
}

/**
 * What a column sorts by; null comes last. Features: those that have it before those that do not.
 * @param {Row} row
 * @param {string} column
 * @returns {number | string | null}
 */
export function keyOf(row, column) {
  if (column === "name") return row.name.toLowerCase();
  if (column === "pattern") return row.pattern && farLayers(row.pattern) / row.pattern.length;
  if (column in row.has) {
    const found = has(row, column);
    return found === null ? null : Number(!found);
  }
  return row[/** @type {Numbers} */ (column)];
}

/** @param {string} pattern */
const farLayers = (pattern) => [...pattern].filter((letter) => FAR.includes(letter)).length;

/**
 * The models in the order of a column, what is not known last; equal ones stay as they were.
 * @param {Row[]} rows
 * @param {string} column
 * @param {boolean} descending
 */
export function sorted(rows, column, descending) {
  const way = descending ? -1 : 1;
  return rows
    .map((row) => ({ row, key: keyOf(row, column) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null);
      return a.key < b.key ? -way : a.key > b.key ? way : 0;
    })
    .map(({ row }) => row);
}

/**
 * For every feature: how many models have it among those that are asked for otherwise.
 * @param {Row[]} rows
 * @param {Ask} ask
 * @param {string[]} features
 * @returns {Record<string, [number, number]>} with it, and without it
 */
export function counted(rows, ask, features) {
  const count = (/** @type {string} */ feature, /** @type {boolean} */ wanted) => {
    const more = { ...ask, [feature]: wanted };
    return rows.filter((row) => answers(row, more)).length;
  };
  return Object.fromEntries(features.map((feature) => [feature, [count(feature, true), count(feature, false)]]));
}

/**
 * What a click on a feature asks next: for it, for its absence, for nothing.
 * @param {Ask} ask
 * @param {string} feature
 * @returns {Ask}
 */
export function askedNext(ask, feature) {
  const { [feature]: now, ...others } = ask;
  if (now === undefined) return { ...others, [feature]: true };
  return now ? { ...others, [feature]: false } : others;
}

/**
 * What a click on a column's head does: sort by it, or turn the order round.
 * @param {{ sort: string, descending: boolean }} now
 * @param {string} column
 */
export const sortedNext = ({ sort, descending }, column) => ({
  sort: column,
  descending: sort === column && !descending,
});

/**
 * Everything that is shown.
 * @param {import("./traits.js").Traits} traits
 */
export function derived(traits) {
  const { ask, sort, descending, _models: all } = traits;
  const features = traits._features.map(([name]) => name);
  const rows = sorted(
    all.filter((row) => answers(row, ask)),
    sort,
    descending,
  );
  const named = (/** @type {string} */ name) => all.find((row) => row.name === name) ?? null;
  return {
    all,
    rows,
    ask,
    sort,
    descending,
    columns: traits._columns,
    features: traits._features,
    counts: counted(all, ask, features),
    unsaid: all.filter((row) => answers(row, ask) === null).length,
    open: named(traits.model),
    pointed: named(traits.pointed),
    across: /** @type {Numbers} */ (traits.across),
    up: /** @type {Numbers} */ (traits.up),
  };
}

/**
 * The same where one points at another model.
 * @param {State} state
 * @param {string} name
 * @returns {State}
 */
export const pointedAt = (state, name) => ({ ...state, pointed: state.all.find((row) => row.name === name) ?? null });

/** @typedef {ReturnType<typeof derived>} State */
