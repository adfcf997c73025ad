// @ts-check
// What is derived from the traits: choices of the sliders, head counts that divide, what the charts go over.

import { divisors } from "../shared/numbers.js";
import { costs, headWidth } from "./maths.js";

/** @typedef {import("./traits.js").Sizes} Sizes */
/** @typedef {import("./traits.js").Measured} Measured */
/** @typedef {import("./traits.js").Preset} Preset */
/** @typedef {import("./maths.js").Costs} Costs */
/** @typedef {Omit<Sizes, "n" | "batch" | "dtype" | "bias">} Layer */

export const LENGTHS = Array.from(
  { length: 27 },
  (_, i) => (16 * 2 ** Math.floor(i / 2) * (i % 2 ? 3 : 2)) / 2, // 16, 24, 32, 48 … 131,072
);
const WIDTHS = [64, 128, 192, 256, 384, 512, 576, 768, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 8192];
const HEADS = [1, 2, 3, 4, 5, 6, 8, 9, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128];
const HEAD_WIDTHS = [8, 16, 32, 48, 64, 80, 96, 128, 192, 256, 512];
const BATCHES = [1, 2, 4, 8, 16, 32, 64];

/** @type {(keyof Sizes)[]} */
export const SIZES = ["n", "d_model", "num_heads", "num_kv_heads", "d_head", "latent", "batch", "dtype", "bias"];

/**
 * The choice that is nearest to a wish, by their ratio.
 * @param {number[]} choices
 * @param {number} wish
 */
export function nearest(choices, wish) {
  const far = (/** @type {number} */ choice) => Math.max(choice / wish, wish / choice);
  return choices.reduce((best, choice) => (far(choice) < far(best) ? choice : best));
}

/**
 * Head counts to choose from: with d_head set, num_heads need not divide d_model.
 * @param {Pick<Sizes, "d_model" | "d_head">} sizes
 */
const headCounts = ({ d_model, d_head }) => (d_head ? HEADS : divisors(d_model));

/**
 * What each slider goes over; null is d_model / num_heads, which a latent does not leave enough room.
 * @type {Record<"n" | "d_model" | "num_heads" | "num_kv_heads" | "d_head" | "batch", (sizes: Sizes) => (number | null)[]>}
 */
export const CHOICES = {
  n: () => LENGTHS,
  d_model: () => WIDTHS,
  num_heads: headCounts,
  num_kv_heads: ({ num_heads, latent }) => (latent ? [num_heads] : divisors(num_heads)),
  d_head: ({ latent }) => (latent ? HEAD_WIDTHS.filter((width) => width > latent.rotary) : [null, ...HEAD_WIDTHS]),
  batch: () => BATCHES,
};

/**
 * Key/value heads beside so many heads: as many where each has its own, else the nearest that divides.
 * @param {Pick<Sizes, "num_heads" | "num_kv_heads" | "latent">} sizes
 * @param {number} heads
 */
export const keyHeadsAt = ({ num_heads, num_kv_heads, latent }, heads) =>
  latent || num_kv_heads === num_heads ? heads : nearest(divisors(heads), Math.min(num_kv_heads, heads));

/**
 * The sizes after a change, with head counts that divide, each the nearest one that does. Where no head shared, none will.
 * @template {Pick<Sizes, "d_model" | "num_heads" | "num_kv_heads"> & { d_head?: number | null, latent?: Sizes["latent"] }} Of
 * @param {Of} after
 * @param {Pick<Sizes, "num_heads" | "num_kv_heads">} before
 */
export function settled(after, before) {
  const { d_model, num_heads, num_kv_heads, d_head = null, latent = null } = after;
  const heads = d_head ? num_heads : nearest(divisors(d_model), num_heads);
  const moved = num_kv_heads !== before.num_kv_heads; // then it is meant
  const sharing = { num_heads: moved ? Number.NaN : before.num_heads, num_kv_heads, latent };
  return { ...after, num_heads: heads, num_kv_heads: keyHeadsAt(sharing, heads), d_head };
}

/**
 * The measured points of a layer: those whose sizes are its own.
 * @param {Measured[]} measured
 * @param {Record<string, unknown>} at the sizes that all points share
 * @param {Sizes} sizes
 */
function pointsOf(measured, at, sizes) {
  /** @type {Record<string, unknown>} */
  const here = sizes;
  if (sizes.latent || Object.entries(at).some(([name, value]) => here[name] !== value)) return [];
  const { d_model, num_heads, num_kv_heads } = sizes;
  const alike = (/** @type {Measured} */ point) =>
    point.num_heads === num_heads &&
    point.num_kv_heads === num_kv_heads &&
    headWidth({ d_model, ...point }) === headWidth(sizes);
  return measured.filter(alike);
}

/**
 * The published model whose layer this is: the one that was chosen where several are alike, then one of this length.
 * @param {Preset[]} models
 * @param {Sizes} sizes
 * @param {string} chosen
 */
export function realModel(models, sizes, chosen) {
  const same = (/** @type {Preset} */ real) =>
    real.d_model === sizes.d_model &&
    real.num_heads === sizes.num_heads &&
    real.num_kv_heads === sizes.num_kv_heads &&
    real.bias === sizes.bias &&
    JSON.stringify(real.latent) === JSON.stringify(sizes.latent) &&
    headWidth(real) === headWidth(sizes);
  const alike = models.filter(same);
  return alike.find(({ name }) => name === chosen) ?? alike.find(({ n }) => n === sizes.n) ?? alike[0] ?? null;
}

/** @param {import("./traits.js").Traits} traits */
export const sizesOf = (traits) => /** @type {Sizes} */ (Object.fromEntries(SIZES.map((name) => [name, traits[name]])));

/**
 * Everything that is shown. `over` are the costs at every place of the axis across, `points` what was measured there.
 * @param {import("./traits.js").Traits} traits
 * @param {string} chosen the model's name in the menu
 */
export function derived(traits, chosen) {
  const sizes = sizesOf(traits);
  const { against, _machine: machine, _measured: measured, _measured_at: at } = traits;
  const heads = (/** @type {number} */ count) => ({
    ...sizes,
    num_heads: count,
    num_kv_heads: keyHeadsAt(sizes, count),
  });
  const places = against === "tokens" ? LENGTHS : headCounts(sizes);
  const sizesAt = (/** @type {number} */ place) => (against === "tokens" ? { ...sizes, n: place } : heads(place));
  const over = places.map((place) => ({ place, costs: costs(sizesAt(place), machine) }));
  const within = (/** @type {number} */ place) => places[0] <= place && place <= places[places.length - 1];
  const points =
    against === "tokens"
      ? pointsOf(measured, at, sizes).map((point) => ({ ...point, place: point.n }))
      : places.flatMap((place) =>
          pointsOf(measured, at, heads(place))
            .filter(({ n }) => n === sizes.n)
            .map((point) => ({ ...point, place })),
        );
  return {
    sizes,
    machine,
    against,
    costs: costs(sizes, machine),
    here: against === "tokens" ? sizes.n : sizes.num_heads,
    over,
    points: points.filter(({ place }) => within(place)),
    measured,
    at,
    model: realModel(traits._models, sizes, chosen),
  };
}

/** @typedef {ReturnType<typeof derived>} State */
