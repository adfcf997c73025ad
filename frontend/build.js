// @ts-check
// Bundles each explorer into one import-free module and one style sheet, which are committed: a learner has no Node.
//
//   node build.js                 writes ../mha_lab/widgets/static
//   node build.js head_explorer   only these rooms
//   node build.js --watch         writes them again whenever a source changes
//   node build.js --to DIR        writes them there, for the check that the committed ones are fresh

import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const { values, positionals } = parseArgs({
  options: { watch: { type: "boolean" }, to: { type: "string" } },
  allowPositionals: true,
});
const here = fileURLToPath(new URL(".", import.meta.url));
const all = readdirSync(`${here}src`).filter((room) => existsSync(`${here}src/${room}/index.js`));
const rooms = positionals.length ? positionals : all;

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
  target: ["chrome111", "firefox121", "safari16.4"],
  charset: "utf8",
  logLevel: "info",
});
if (values.watch) await context.watch();
else {
  await context.rebuild().catch(() => (process.exitCode = 1)); // esbuild has said why
  await context.dispose();
}
