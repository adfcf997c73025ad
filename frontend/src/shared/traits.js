// @ts-check
// Traits: the state that the page shares with Python. Everything that an explorer shows is read from them.

/**
 * A model as anywidget gives it. T is the typedef in the explorer's traits.js: a misspelt trait is an error of tsc.
 * @template {Record<string, any>} T
 * @typedef {import("@anywidget/types").AnyModel<T>} Model
 */

/**
 * The numbers in a binary trait, or null where it is empty. Copied only where a view of them would not be aligned.
 * @template {Uint8ArrayConstructor | Float32ArrayConstructor | Int32ArrayConstructor | Float64ArrayConstructor} Type
 * @param {DataView | null | undefined} view
 * @param {Type} Type
 * @returns {InstanceType<Type> | null}
 */
export function decoded(view, Type) {
  if (!view?.byteLength) return null;
  const [from, size] = [view.byteOffset, Type.BYTES_PER_ELEMENT];
  const buffer = /** @type {ArrayBuffer} */ (view.buffer);
  const numbers =
    from % size ? new Type(buffer.slice(from, from + view.byteLength)) : new Type(buffer, from, view.byteLength / size);
  return /** @type {InstanceType<Type>} */ (numbers);
}

/**
 * A function that sets traits at once and tells the kernel of them when the gesture has paused, or lasts a second: what
 * JupyterLab does for each message, and for the kernel's answers, takes longer than a picture. Its tell() does not wait,
 * and its send() tells first, so that the kernel answers to what is on show; send() throws where there is no kernel.
 * @template {Record<string, any>} T
 * @param {Model<T>} model
 */
export function changer(model) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let first = 0;
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    try {
      model.save_changes();
    } catch {
      // Without a kernel nobody else needs to know: the picture follows the local state all the same.
    }
  };
  /** @param {Partial<T>} traits */
  const change = (traits) => {
    for (const name of Object.keys(traits)) model.set(name, /** @type {any} */ (traits)[name]);
    const now = performance.now();
    if (!timer) first = now;
    clearTimeout(timer);
    timer = setTimeout(tell, now - first < 1000 ? 100 : 0);
  };
  /** @param {unknown} message */
  const send = (message) => {
    tell();
    model.send(message);
  };
  return Object.assign(change, { tell, send });
}

/**
 * Calls `handler` whenever one of the traits changes; gives the function that ends it.
 * @template {Record<string, any>} T
 * @param {Model<T>} model
 * @param {(keyof T & string)[]} traits
 * @param {() => void} handler
 */
export function watch(model, traits, handler) {
  const events = traits.map((name) => /** @type {`change:${string}`} */ (`change:${name}`));
  for (const event of events) model.on(event, handler);
  return () => {
    for (const event of events) model.off(/** @type {any} */ (event), handler);
  };
}
