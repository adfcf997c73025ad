// What the explorers share. `joined` in _base.py puts it into each of their modules, in place of the import.

/** An element with properties or attributes, and children (text is always text, never HTML). */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const { abs, ceil, floor, max, min, round, sqrt } = Math;

/** The numbers in a binary trait, or null where it is empty. Copied only where a view of them would not be aligned. */
export function decoded(view, Type) {
  if (!view?.byteLength) return null;
  const [from, size] = [view.byteOffset, Type.BYTES_PER_ELEMENT];
  return from % size ? new Type(view.buffer.slice(from, from + view.byteLength)) : new Type(view.buffer, from, view.byteLength / size);
}

/** A function that sets traits at once and tells the kernel of them when the gesture has paused, or lasts a second: what
 *  JupyterLab does for each message, and for the kernel's answers, takes longer than a picture. Its tell() does not wait,
 *  and its send() tells first, so that the kernel answers to what is on show. */
export function changer(model) {
  let [timer, first] = [0, 0];
  const change = (traits) => {
    for (const [name, value] of Object.entries(traits)) model.set(name, value);
    const now = performance.now();
    if (!timer) first = now;
    clearTimeout(timer);
    timer = setTimeout(change.tell, now - first < 1000 ? 100 : 0);
  };
  change.tell = () => {
    timer = clearTimeout(timer);
    try {
      model.save_changes();
    } catch {
      // Without a kernel nobody else needs to know: the picture follows the local state all the same.
    }
  };
  change.send = (message) => {
    change.tell();
    model.send(message);
  };
  return change;
}

/** Calls `handler` whenever one of the traits changes; gives the function that ends it. */
export function watch(model, traits, handler) {
  const events = traits.map((name) => `change:${name}`);
  events.forEach((event) => model.on(event, handler));
  return () => events.forEach((event) => model.off(event, handler));
}

/** schedule() draws in the next frame, once however often it was called; schedule.pending tells, schedule.cancel() forgets. */
export function scheduler(draw) {
  const schedule = () => {
    schedule.pending ||= requestAnimationFrame(() => {
      schedule.pending = 0;
      draw();
    });
  };
  schedule.pending = 0;
  schedule.cancel = () => cancelAnimationFrame(schedule.pending);
  return schedule;
}

/** Counts the drawings of a root element: who waits for one finds it there. */
export function countDrawing(root) {
  root.dataset.drawn = +(root.dataset.drawn ?? 0) + 1;
}

/** The whole numbers that divide n, in rising order. */
export function divisors(n) {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

const formats = {}; // to make one takes longer than all that it writes
/** A number with a comma between thousands, in every browser's language. */
export const grouped = (number, digits = 0) =>
  (formats[digits] ??= new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })).format(number);

/** Tokens as they are shown: white space made visible, and a word that occurs again numbered (the₁ … the₂). */
export function shownWords(tokens) {
  const visible = tokens.map(
    (t) =>
      t
        .replace(/\n/g, "↵")
        .replace(/\t/g, "⇥")
        .replace(/^\s+|\s+$/g, (s) => "␣".repeat(s.length)) || "∅",
  );
  const total = new Map();
  visible.forEach((word) => total.set(word, (total.get(word) ?? 0) + 1));
  const seen = new Map();
  return visible.map((word) => {
    if (total.get(word) === 1) return word;
    seen.set(word, (seen.get(word) ?? 0) + 1);
    return word + [...String(seen.get(word))].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
  });
}

/** Where a radio group goes with an arrow key: the place beside `at` of `count`, or null where the key or the place is none. */
export function stepped(event, at, count) {
  const next = at + { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  return next >= 0 && next < count ? next : null;
}
