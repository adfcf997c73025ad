// @ts-check
// Words as they are shown, as a sentence can carry them, and as a place has room for them.

// Letters that take no room, and those that turn the direction of what follows. Joiners within a word (नमस्ते, 👩‍👧) do
// their work there; at its ends they do nothing. Python's shown_words (_base.py) has the same list.
const UNSEEN = /[\p{Cc}\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|^[\u200c\u200d]+|[\u200c\u200d]+$/gu;

/** @param {string} letters */
const named = (letters) =>
  [...letters].map((letter) => `⟨${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`).join("");

/**
 * A word with what cannot be seen in it made visible: white space at its ends, line ends, letters without width.
 * @param {string} word
 */
export const visible = (word) =>
  word
    .replace(/\n/g, "↵")
    .replace(/\t/g, "⇥")
    .replace(UNSEEN, named)
    .replace(/^\s+|\s+$/g, (spaces) => "␣".repeat(spaces.length)) || "∅";

/** @param {number} number */
const lowered = (number) => [...String(number)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");

/**
 * Tokens as they are shown: visible, and a word that occurs again numbered (the₁ … the₂).
 * @param {string[]} tokens
 */
export function shownWords(tokens) {
  const words = tokens.map(visible);
  /** @type {Map<string, number>} */
  const total = new Map();
  for (const word of words) total.set(word, (total.get(word) ?? 0) + 1);
  /** @type {Map<string, number>} */
  const seen = new Map();
  return words.map((word) => {
    if (total.get(word) === 1) return word;
    const count = (seen.get(word) ?? 0) + 1;
    seen.set(word, count);
    return word + lowered(count);
  });
}

/**
 * A text that is written from the right is set apart: what follows, such as a minus sign, keeps its place.
 * @param {string} text
 */
export const isolated = (text) => (/[\u0590-\u08ff\ufb1d-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text);

const LONG = 24; // letters in a sentence

/**
 * A word as a sentence can carry it: not too long, and set apart.
 * @param {string} word
 */
export function quoted(word) {
  const letters = [...word.slice(0, 2 * LONG + 2)]; // a letter has at most two code units
  return isolated(letters.length > LONG ? `${letters.slice(0, LONG - 1).join("")}…` : word);
}

const MOST_SHOWN = 512; // code units; no place on a screen is wider

/**
 * As much of a text as has room, with "…" where something is left out; at least one letter. Halves the rest with each
 * measurement: a word may have 100,000 letters.
 * @param {string} text
 * @param {number} room
 * @param {(text: string) => number} measure the width of a text
 */
export function clipped(text, room, measure) {
  if (text.length <= MOST_SHOWN && measure(text) <= room) return text;
  const letters = text.slice(0, MOST_SHOWN).match(/\P{M}(?:\p{M}|\u200d)*|\p{M}+/gu) ?? [];
  const cut = (/** @type {number} */ count) => `${letters.slice(0, count).join("")}…`;
  let [fits, over] = [1, letters.length + 1];
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (measure(cut(middle)) <= room) fits = middle;
    else over = middle;
  }
  return cut(fits);
}
