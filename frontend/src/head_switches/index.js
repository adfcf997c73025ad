// HeadSwitches: a model's heads as switches, and what it predicts with some of them off.
//
// All state lives in the model's traits, and draw() reads them afresh. Python predicts; what it has said before answers at once.

import { countDrawing, element, scheduler, shownWords, watch } from "../shared/common.js";
import { isolated } from "../shared/words.js";

// ---------------------------------------------------------------------------------------------------------- mathematics

/** Heads that are off, [layer, head] each, as one text: what it was asked for tells an answer from a late one. */
export const keyOf = (off) => off.map(([layer, head]) => `${layer}.${head}`).join(" ");

/** The heads that are off after one is switched, in order. */
export function switched(off, layer, head) {
  const rest = off.filter(([l, h]) => l !== layer || h !== head);
  if (rest.length === off.length) rest.push([layer, head]);
  return rest.sort(([l, h], [m, i]) => l - m || h - i);
}

/** Predictions { example, name, now, before }: those with all heads on, then those that are new. now is undefined while unknown. */
export function compared(rows, before) {
  const same = ([e, n]) => ([example, name]) => e === example && n === name;
  const all = [...before, ...(rows ?? []).filter((row) => !before.some(same(row)))];
  const number = (found) => found?.[2];
  return all.map((row) => ({
    example: row[0],
    name: row[1],
    now: number(rows?.find(same(row))),
    before: number(before.find(same(row))),
  }));
}

/** How far a prediction moved: the difference of the two numbers as they are shown. One that came or went moved by its whole size. */
export const moved = ({ now = 0, before = 0 }) => Number((now.toFixed(2) - before.toFixed(2)).toFixed(2));

/** The prediction that moved most, or null where none moved. */
export function mostMoved(pairs) {
  const most = pairs.reduce((best, pair) => (Math.abs(moved(pair)) > Math.abs(moved(best)) ? pair : best), pairs[0]);
  return moved(most) === 0 ? null : most;
}

/** Ends of the axis: 0 to 1 for what can be probabilities, otherwise from the smallest number to the largest, 0 among them. */
export function axis(numbers) {
  const [low, high] = [Math.min(0, ...numbers), Math.max(0, ...numbers)];
  return low === 0 && high <= 1 ? [0, 1] : [low, high];
}

/** Two decimals, with a true minus sign; "–" for what there is not. */
export function short(number) {
  if (number === undefined) return "–";
  return number.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
}

/** A name with its white space visible. */
const visible = (name) => shownWords([name])[0];

/** A difference with its sign: "+0.12". */
export const change = (by) => (by > 0 ? "+" : "") + short(by);

// ----------------------------------------------------------------------------------------------------------------- page

const SOON = 400; // ms after which a reader is told that Python is at it …
const LATE = 5000; // … and that it may not be there at all
const FEW = 16; // heads in a row for which a switch has room for numbers

function render({ model, el }) {
  const [L, H] = [model.get("num_layers"), model.get("num_heads")];
  const heads = Array.from({ length: L * H }, (_, i) => [Math.floor(i / H), i % H]);
  const name = (layer, head) => (L === 1 ? String(head) : `${layer}.${head}`);
  const words = new Map(model.get("_labels").map(([layer, head, text]) => [keyOf([[layer, head]]), text]));
  const known = new Map(model.get("_answers").map(([off, rows]) => [keyOf(off), rows]));
  const before = known.get("");
  const alone = known.size > 1;
  let focused = 0; // the switch that Tab comes to
  let asked = 0; // when Python was asked for what is not known yet
  let timer = 0;

  // ------------------------------------------------------------------------------------------------------------ elements
  const button = (text, action) => element("button", { type: "button", onclick: action }, text);
  const switches = heads.map(([layer, head], i) => {
    const most = alone ? mostMoved(compared(known.get(keyOf([[layer, head]])), before)) : null;
    const by = most ? Math.abs(moved(most)) : 0;
    const label = words.get(keyOf([[layer, head]]));
    const effect = alone ? `alone off, it moves a prediction by ${short(by)}` : "";
    const node = element("button", {
      type: "button",
      tabIndex: -1,
      title: [`layer ${layer}, head ${head}`, label, effect].filter(Boolean).join(": "),
      "aria-label": [`layer ${layer}, head ${head}`, label, effect].filter(Boolean).join(", "),
      onclick: () => set(switched(model.get("off"), layer, head)),
      onfocus: () => point(i),
    });
    node.append(element("b", {}, String(head)));
    if (alone && H <= FEW) node.append(element("small", {}, short(by)));
    return node;
  });
  const rows = Array.from({ length: L }, (_, layer) =>
    element(
      "div",
      { className: "mha-switch-layer" },
      element("span", {}, `layer ${layer}`),
      ...switches.slice(layer * H, (layer + 1) * H),
    ),
  );
  const grid = element("div", { className: "mha-switch-grid", role: "group", "aria-label": "heads: pressed is on" }, ...rows);
  const onlyOn = button("", () => set(heads.filter((_, i) => i !== focused)));
  const onlyOff = button("", () => set([heads[focused]]));
  const headline = element("p", { className: "mha-switch-headline", "aria-live": "polite" });
  const note = element("p", { className: "mha-switch-note", role: "status" });
  const body = element("tbody");
  const titles = ["now", "all on", "change"].map((text) => element("th", { scope: "col" }, text));
  const table = element(
    "table",
    { "aria-label": "predictions" },
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "prediction"), element("td"), ...titles)),
    body,
  );
  const legend = alone && H <= FEW ? " The small number: how far the head moves a prediction when it alone is off." : "";
  const root = element(
    "div",
    { className: "mha mha-switch", "data-lm-suppress-shortcuts": "true" },
    headline,
    element(
      "div",
      { className: "mha-switch-line" },
      button("all on", () => set([])),
      button("all off", () => set(heads)),
      onlyOn,
      onlyOff,
    ),
    element(
      "div",
      { className: "mha-switch-sides" },
      element(
        "div",
        {},
        grid,
        element("small", {}, `Arrow keys go from head to head, Space switches, Esc: all on.${legend}`),
      ),
      element("div", { className: "mha-switch-predictions" }, table, note),
    ),
  );
  root.classList.toggle("mha-switch-many", H > FEW);
  el.append(root);

  // --------------------------------------------------------------------------------------------------------------- state
  let absent = !model.get("can_predict"); // no Python to ask

  function set(off) {
    model.set("off", off);
    try {
      model.save_changes(); // while Python is at one state, the host keeps the newest and sends it alone
    } catch {
      absent = true; // what is known still answers
    }
    schedule();
  }

  /** What Python has said for the present heads: rows, or undefined. */
  function learn() {
    const [off, found] = model.get("_answer");
    if (found.length) known.set(keyOf(off), found);
    return known.get(keyOf(model.get("off")));
  }

  const failed = () => model.get("message") && keyOf(model.get("_answer")[0]) === keyOf(model.get("off"));

  // ------------------------------------------------------------------------------------------------------------- drawing
  const schedule = scheduler(draw);

  function draw() {
    const off = model.get("off");
    const found = learn();
    const pairs = compared(found, before);
    const isOff = new Set(off.map((head) => keyOf([head])));
    switches.forEach((node, i) => {
      node.setAttribute("aria-pressed", String(!isOff.has(keyOf([heads[i]]))));
    });
    point(focused);
    headline.textContent = saying(off, found, pairs);
    showRows(pairs);
    table.classList.toggle("mha-switch-unknown", !found);
    wait(Boolean(found) || Boolean(failed()));
    countDrawing(root);
  }

  /** The heads that are off and what they did, in one line. */
  function saying(off, found, pairs) {
    const plural = (count) => (count === 1 ? "head" : "heads");
    const heads = `${L * H} ${plural(L * H)}`;
    const called = (head) => (words.has(keyOf([head])) ? ` (${words.get(keyOf([head]))})` : "");
    const names = off.map((head) => name(...head) + called(head)).join(", ");
    const state = { 0: `All ${heads} on`, [L * H]: `All ${heads} off` }[off.length];
    const which = state ?? (off.length > 6 ? `${off.length} of ${heads} off` : `Off: ${plural(off.length)} ${names}`);
    const most = found && off.length ? mostMoved(pairs) : null;
    if (!most) return found && off.length ? `${which}. No prediction moves.` : `${which}.`;
    const apart = (text) => isolated(visible(text));
    const place = most.example ? `${apart(most.example)}, ` : "";
    return `${which}. Most moved: ${place}${apart(most.name)}, ${short(most.before)} → ${short(most.now)}.`;
  }

  function showRows(pairs) {
    const numbers = [...known.values()].flatMap((rows) => rows.map(([, , number]) => number));
    const [low, high] = axis(numbers);
    const bar = (kind, number) => {
      const node = element("i", { className: `mha-switch-${kind}` });
      const ends = [0, number ?? 0].sort((a, b) => a - b).map((x) => (100 * (x - low)) / (high - low));
      node.style.marginLeft = `${ends[0]}%`;
      node.style.width = `${ends[1] - ends[0]}%`;
      return node;
    };
    let example = "";
    const drawn = pairs.flatMap((pair) => {
      const { name, now, before } = pair;
      const bars = element("span", { "aria-hidden": "true" }, bar("now", now), bar("before", before));
      const by = now === undefined ? "" : change(moved(pair));
      const row = element(
        "tr",
        {},
        element("th", { scope: "row", dir: "auto", title: name }, visible(name)),
        element("td", { className: "mha-switch-bars" }, bars),
        element("td", { className: "mha-switch-number" }, short(now)),
        element("td", {}, short(before)),
        element("td", { className: by === "0.00" ? "mha-switch-same" : "" }, by),
      );
      if (pair.example === example) return [row];
      example = pair.example;
      return [element("tr", {}, element("th", { colSpan: 5, scope: "rowgroup", dir: "auto" }, visible(example))), row];
    });
    body.replaceChildren(...drawn);
  }

  /** Says in words what keeps an answer away: an error, Python at work, or nobody there. */
  function wait(answered) {
    clearTimeout(timer);
    if (answered) {
      asked = 0;
      note.textContent = failed() ? model.get("message") : "";
      return;
    }
    asked ||= performance.now();
    const since = performance.now() - asked;
    const still = `all heads on${alone ? ", each head alone off" : ""}, and what was shown before`;
    if (absent) note.textContent = `Only Python can predict this, and this page has none. It still shows ${still}.`;
    else if (since > LATE) {
      note.textContent = `Python has not answered: it is busy, or its kernel is gone; then run this cell again. Without it there are ${still}.`;
    } else {
      note.textContent = since > SOON ? "Waiting for Python …" : "";
      timer = setTimeout(() => wait(false), (since > SOON ? LATE : SOON) - since + 1);
    }
  }

  /** Makes one switch the one that Tab comes to and that the last two buttons mean. */
  function point(i) {
    switches[focused].tabIndex = -1;
    focused = i;
    switches[i].tabIndex = 0;
    onlyOn.textContent = `only head ${name(...heads[i])} on`;
    onlyOff.textContent = `only head ${name(...heads[i])} off`;
  }

  // --------------------------------------------------------------------------------------------------------------- actions
  grid.onkeydown = ({ key }) => {
    const [layer, head] = heads[focused];
    const next = {
      ArrowLeft: [layer, Math.max(0, head - 1)],
      ArrowRight: [layer, Math.min(H - 1, head + 1)],
      ArrowUp: [Math.max(0, layer - 1), head],
      ArrowDown: [Math.min(L - 1, layer + 1), head],
      Home: [layer, 0],
      End: [layer, H - 1],
    }[key];
    if (next) switches[next[0] * H + next[1]].focus();
    return !next; // the page would scroll
  };
  root.onkeydown = (event) => {
    event.stopPropagation(); // the notebook would move on with the arrow keys
    if (event.key === "Escape") set([]);
  };

  const heard = () => {
    asked = 0; // an answer, though perhaps a late one: Python is there
    schedule();
  };
  const ends = [watch(model, ["off", "message"], schedule), watch(model, ["_answer"], heard)];
  schedule();
  return () => {
    schedule.cancel();
    clearTimeout(timer);
    ends.forEach((end) => end());
    root.remove();
  };
}

export default { render };
