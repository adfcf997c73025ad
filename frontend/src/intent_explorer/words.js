// @ts-check
// The words: a row of them to choose the one that looks, and a row for each head, tinted by its weights.

import { element, named } from "../shared/dom.js";
import { stepped } from "../shared/keys.js";
import { pointing } from "../shared/pointing.js";
import { tint } from "./paint.js";
import { READING, told, tongue } from "./speech.js";
import { walked } from "./state.js";

/** @typedef {import("./state.js").State} State */

const part = named("mha-intent");

/**
 * The answer and all words as a radio group.
 * @param {Uint8ClampedArray} colours
 * @param {(word: number) => void} choose -1 is the answer
 */
export function wordChooser(colours, choose) {
  const node = part("row", "div", { role: "radiogroup", ariaLabel: "the word that looks" });
  let [at, count] = [0, 1];
  /** @param {State} state */
  const show = ({ words, word, shares, top }) => {
    const focused = node.contains(document.activeElement);
    [at, count] = [word + 1, words.length + 1];
    const choices = ["the answer", ...words].map((token, place) => {
      const chosen = place === at;
      const properties = {
        type: "button",
        role: "radio",
        lang: tongue(token),
        title: token,
        tabIndex: chosen ? 0 : -1,
      };
      const button = element("button", { ...properties, ariaChecked: String(chosen) }, token);
      button.onclick = () => choose(chosen ? -1 : place - 1);
      return place ? tint(button, shares[place - 1] / top, colours) : button;
    });
    choices[0].className = "mha-intent-name";
    node.replaceChildren(
      choices[0],
      part("words", "div", { className: "mha-intent-words mha-data" }, ...choices.slice(1)),
    );
    if (focused) choices[at].focus({ preventScroll: true });
  };
  node.addEventListener("keydown", (event) => {
    const next = event.key === "Escape" ? 0 : stepped(event, at, count);
    if (next === null) return;
    event.preventDefault();
    choose(next - 1);
  });
  return { node, show };
}

/**
 * A row of words for each head. read(head, word) reads a weight, clear() stops reading, focus() tells that the keyboard
 * came or went.
 * @param {number} H
 * @param {Uint8ClampedArray} colours
 * @param {{ state: () => State, read: (head: number, word: number) => void, clear: () => void, focus: () => void }} acts
 */
export function headRows(H, colours, { state, read, clear, focus }) {
  const heads = Array.from({ length: H }, () =>
    part("words", "div", { role: "img", className: "mha-intent-words mha-data" }),
  );
  const rows = heads.map((words, h) => part("row", "div", {}, part("name", "span", {}, `head ${h}`), words));
  const node = part("heads", "div", { tabIndex: 0, role: "group", ariaLabel: `heads. ${READING}` }, ...rows);

  /** @param {State} now */
  const show = (now) => {
    for (const [h, head] of heads.entries()) {
      const cells = now.words.map((token, j) =>
        tint(element("span", { lang: tongue(token), title: token }, token), now.rows[h][j] / now.top, colours),
      );
      head.replaceChildren(...cells);
      head.ariaLabel = `head ${h}: ${told(now.rows[h], now.words)}`;
    }
  };
  /** Marks what is read. @param {State} now */
  const point = ({ pointed }) => {
    node.querySelector(".mha-intent-pointed")?.classList.remove("mha-intent-pointed");
    if (pointed) heads[pointed.head].children[pointed.word]?.classList.add("mha-intent-pointed");
  };
  node.addEventListener("keydown", (event) => {
    const next = walked(event.key, state());
    if (!next && event.key !== "Escape") return;
    event.preventDefault();
    if (!next) return clear();
    read(next[0], next[1]);
    heads[next[0]].children[next[1]].scrollIntoView({ block: "nearest" });
  });
  node.onfocus = node.onblur = focus;
  return { node, show, point, dispose: pointingAt(node, heads, { read, clear }) };
}

/**
 * Mouse and finger read a weight. Nothing is pinned: a finger's reading stays by itself.
 * @param {HTMLElement} node
 * @param {HTMLElement[]} heads
 * @param {{ read: (head: number, word: number) => void, clear: () => void }} acts
 */
function pointingAt(node, heads, { read, clear }) {
  const readAt = (/** @type {import("../shared/pointing.js").Spot} */ { target }) => {
    const head = heads.findIndex((words) => target !== words && words.contains(target));
    if (head < 0 || !target) {
      clear();
      return null;
    }
    const word = [...heads[head].children].indexOf(target);
    read(head, word);
    return `${head} ${word}`;
  };
  return pointing(node, { read: readAt, pin: () => {}, clear });
}
