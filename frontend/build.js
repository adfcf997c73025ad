// Bundles each explorer into one import-free module and one style sheet, which are committed: a learner has no Node.
//
//   node build.js            writes ../mha_lab/widgets/static
//   node build.js --watch    writes them again whenever a source changes
//   node build.js --to DIR   writes them there, for the check that the committed ones are fresh

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const { values } = parseArgs({ options: { watch: { type: "boolean" }, to: { type: "string" } } });
const here = fileURLToPath(new URL(".", import.meta.url));
const rooms = readdirSync(`${here}src`).filter((room) => room !== "shared");

const context = await esbuild.context({
  absWorkingDir: here,
  entryPoints: rooms.flatMap((room) => [
    { in: `src/${room}/index.js`, out: room },
    { in: `src/${room}/style.css`, out: room },
  ]),
  outdir: values.to ?? "../mha_lab/widgets/static",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox115", "safari16.4"],
  charset: "utf8",
  logLevel: "info",
});
if (values.watch) await context.watch();
else {
  await context.rebuild();
  await context.dispose();
}
