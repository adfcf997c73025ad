// @ts-check
// The pictures: FLOPs by term, the stored maps, the charts.

import { chart } from "../shared/chart.js";
import { drawn, element, say } from "../shared/dom.js";
import { pointing } from "../shared/pointing.js";
import { chartOf, chartPlaces, mapsLayout, shownCharts } from "./layout.js";
import { sum } from "./maths.js";
import { mapsInWords, reading, TERMS, termsInWords } from "./speech.js";
import { nearest } from "./state.js";

/** @typedef {import("./state.js").State} State */

const FINGER = 36; // pixels from a curve that a finger may miss it by

/**
 * The bar of FLOPs by term.
 * @param {HTMLElement} bar
 * @param {State} state
 */
export function paintBar(bar, state) {
  const { flops } = state.costs;
  const total = sum(Object.values(flops));
  const words = termsInWords(state);
  bar.ariaLabel = `FLOPs: ${words.join("; ")}`;
  bar.replaceChildren(
    ...TERMS.map((term, i) => {
      const piece = element("span", { title: words[i] }, flops[term] / total > 0.05 ? term : "");
      piece.dataset.term = term;
      piece.style.flexGrow = String(flops[term] / total);
      return piece;
    }),
  );
}

/**
 * The stored maps: a square for each, all true to one scale; heads that share keys and values in one shade.
 * @param {HTMLElement} figure
 * @param {State} state
 */
export function paintMaps(figure, state) {
  const { n, batch, num_heads, num_kv_heads, latent } = state.sizes;
  const [width, height] = [Math.max(figure.clientWidth, 40), 84];
  const place = mapsLayout(batch * num_heads, n, width, height);
  const share = latent ? 1 : num_heads / num_kv_heads;
  const shades = ["", ""];
  for (let i = 0; i < place.drawn; i++) {
    const x = (i % place.columns) * (place.side + place.gap);
    const y = Math.floor(i / place.columns) * (place.side + place.gap);
    const group = share > 1 ? Math.floor((i * place.each) / share) : 0;
    shades[group % 2] += `M${x.toFixed(2)} ${y.toFixed(2)}h${place.side}v${place.side}h${-place.side}z`;
  }
  const words = mapsInWords(state, place);
  const svg = drawn(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Stored scores: ${words}` },
    ...shades.map((d, i) => drawn("path", { d, class: `mha-cost-map${i ? " mha-cost-second" : ""}` })),
  );
  figure.replaceChildren(element("figcaption", {}, words), svg);
}

/**
 * The charts in a row. A place that is pointed at is read in its caption; `go` follows a click or a second tap there.
 * Gives what ends the pointing.
 * @param {HTMLElement} row
 * @param {State} state
 * @param {(place: number) => void} go
 */
export function paintCharts(row, state, go) {
  const shown = shownCharts(state);
  const { columns, ...size } = chartPlaces(row.clientWidth, shown.length);
  row.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
  const ends = shown.map((of) => {
    const says = (/** @type {number} */ place) => reading(state, of, place);
    const label = `${of.title} against ${state.against}; at ${says(state.here)}`;
    const picture = chart({ ...chartOf(state, of, size), label });
    const caption = element("span", {}, says(state.here));
    const figure = element(
      "figure",
      {},
      element("figcaption", {}, element("b", {}, of.title), " ", caption),
      picture.node,
    );
    row.append(figure);
    const places = [...new Set([...state.over.map(({ place }) => place), ...state.points.map(({ place }) => place)])];
    const placeAt = (/** @type {import("../shared/pointing.js").Spot} */ spot) =>
      nearest(places, Math.max(picture.valueAt(spot), 1e-9));
    return pointing(picture.node, {
      read(spot) {
        if (spot.pointerType !== "mouse" && picture.far(spot) > FINGER) return null; // there a drag scrolls the page
        const place = placeAt(spot);
        say(caption, says(place));
        picture.read(place);
        return place;
      },
      pin: (spot) => go(placeAt(spot)),
      clear() {
        say(caption, says(state.here));
        picture.read(null);
      },
    });
  });
  return () => {
    for (const end of ends) end();
  };
}
