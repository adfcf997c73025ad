// @ts-check
// A page that scrolls: `save_html`, and the handouts.

import { start, wear } from "../shared/alive.js";

wear();
for (const host of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".mha-host"))) {
  const fold = host.closest("details:not([open])"); // nothing has a size in there: it starts when the fold is opened
  if (fold) fold.addEventListener("toggle", () => start(host), { once: true });
  else start(host);
}
