// @ts-check
// The static host: brings the explorers of a page without a kernel to life. Each module sees a model as anywidget gives
// one, but for send(): there is no kernel to send to, and the modules say so.

import { modelOf, revived } from "./model.js";

/**
 * @typedef {{ modules: Record<string, string>, models: Record<string, { module: string, state: Record<string, unknown> }> }} Saved
 * @typedef {{ initialize?: (props: any) => unknown, render: (props: any) => unknown }} Explorer
 */

const data = document.getElementById("mha-explorers");
const { modules, models } = /** @type {Saved} */ (JSON.parse(data?.textContent ?? "", revived));

/** @type {Record<string, Promise<{ default: Explorer }>>} */
const loaded = {};
/** @param {string} name */
function load(name) {
  loaded[name] ??= import(URL.createObjectURL(new Blob([modules[name]], { type: "text/javascript" })));
  return loaded[name];
}

/** @type {Record<string, Promise<{ explorer: Explorer, model: object }>>} */
const awake = {};
/**
 * The module and the model behind an id: two views of one explorer share them.
 * @param {string} id
 */
function wake(id) {
  awake[id] ??= load(models[id].module).then(async ({ default: explorer }) => {
    const model = modelOf(models[id].state);
    await explorer.initialize?.({ model });
    return { explorer, model };
  });
  return awake[id];
}

/** The page is as light or as dark as the reader's system, now and whenever that changes. */
export function wear() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const put = () => {
    document.body.dataset.jpThemeLight = String(!dark.matches);
  };
  dark.addEventListener("change", put);
  put();
}

/**
 * Draws the explorer of a host into it, beside its picture.
 * @param {HTMLElement} host
 */
export function start(host) {
  const el = host.appendChild(document.createElement("div"));
  return wake(host.dataset.model ?? "")
    .then(({ explorer, model }) => explorer.render({ model, el }))
    .then(() => host.classList.add("mha-alive")) // from now on the picture is for printing only
    .catch((problem) => {
      el.textContent = `This explorer did not start (${problem.message}): its picture stays.`;
    });
}
