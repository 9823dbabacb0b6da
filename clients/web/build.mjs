// Builds the pages into a folder: `node build.mjs FOLDER`. The same sources give the same bytes.
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const [outdir] = process.argv.slice(2);
if (outdir === undefined) throw new Error("Name the folder to build into: node build.mjs ../../src/shelfwire/web/pages");

const source = (path) => `${here}src/${path}`;
const entries = {
  reader: source("reader/main.tsx"),
  admin: source("admin/main.tsx"),
  pages: source("pages.css"),
  readerStyle: source("reader/reader.css"),
  adminStyle: source("admin/admin.css"),
};
const names = { readerStyle: "reader", adminStyle: "admin" };

mkdirSync(outdir, { recursive: true });
await build({
  entryPoints: Object.entries(entries).filter(([, path]) => existsSync(path)).map(([name, path]) => ({ in: path, out: names[name] ?? name })),
  outdir,
  tsconfig: `${here}tsconfig.json`,
  // Nested imports, such as the client's of React, must find the stand-in and this folder's packages too.
  alias: { react: source("parts/react.ts") },
  nodePaths: [`${here}node_modules`],
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
for (const name of ["index.html", "admin.html"]) if (existsSync(source(name))) copyFileSync(source(name), `${outdir}/${name}`);
copyFileSync(`${here}node_modules/preact/LICENSE`, `${outdir}/preact.LICENSE`);
