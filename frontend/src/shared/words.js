// Words in a sentence. Not in _shared.js: HeadExplorer, which shows a word in an element of its own, has no room for it.

/** A text that is written from the right is set apart: what follows, such as a minus sign, keeps its place. */
export const isolated = (text) => (/[\u0590-\u08ff\ufb1d-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text);

/** A word as a sentence can carry it: not too long, and set apart. */
export function quoted(word) {
  const letters = [...word];
  return isolated(letters.length > 24 ? `${letters.slice(0, 23).join("")}…` : word);
}
