// The static host: brings the explorers of a saved page to life. Each module sees a model as anywidget gives one, but for
// send(): there is no kernel to send to, and the modules say so.

const revived = (_, value) =>
  typeof value?.base64 === "string"
    ? new DataView(Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0)).buffer)
    : value;
const { modules, models } = JSON.parse(document.getElementById("mha-explorers").textContent, revived);

function modelOf(state) {
  const listeners = {};
  const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
  return {
    get: (name) => state[name],
    set(name, value) {
      if (same(state[name], value)) return;
      state[name] = value;
      for (const act of listeners[`change:${name}`] ?? []) act();
    },
    on: (event, act) => (listeners[event] = [...(listeners[event] ?? []), act]),
    off: (event, act) => (listeners[event] = (listeners[event] ?? []).filter((other) => other !== act)),
    save_changes() {},
  };
}

const loaded = {};
const load = (name) =>
  (loaded[name] ??= import(URL.createObjectURL(new Blob([modules[name]], { type: "text/javascript" }))));

const awake = {};
/** The module and the model behind an id: two views of one explorer share them. */
const wake = (id) =>
  (awake[id] ??= load(models[id].module).then(async ({ default: explorer }) => {
    const model = modelOf(models[id].state);
    await explorer.initialize?.({ model });
    return { explorer, model };
  }));

const dark = matchMedia("(prefers-color-scheme: dark)");
const wear = () => (document.body.dataset.jpThemeLight = String(!dark.matches));
dark.addEventListener("change", wear);
wear();

for (const host of document.querySelectorAll(".mha-host")) {
  const el = host.appendChild(document.createElement("div"));
  wake(host.dataset.model)
    .then(({ explorer, model }) => explorer.render({ model, el }))
    .then(() => host.classList.add("mha-alive")) // from now on the picture is for printing only
    .catch((problem) => {
      el.textContent = `This explorer did not start (${problem.message}): its picture stays.`;
    });
}
