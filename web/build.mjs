// Bundles the page into kscope/server/static: hashed assets, each beside its gzip and brotli form.
import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "kscope", "server", "static");

async function bundle() {
  const result = await build({
    entryPoints: [join(here, "src/main.ts"), join(here, "src/style.css")],
    outdir: join(out, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "linked",
    metafile: true,
    logLevel: "warning",
  });
  // Modules that are imported later are entry points too.
  const first = ["src/main.ts", "src/style.css"];
  return Object.entries(result.metafile.outputs)
    .filter(([, { entryPoint }]) => first.some((name) => entryPoint?.endsWith(name)))
    .map(([path]) => `assets/${basename(path)}`);
}

async function writeIndex(assets) {
  const find = (ending) => assets.find((name) => name.endsWith(ending));
  const html = await readFile(join(here, "index.html"), "utf8");
  await writeFile(
    join(out, "index.html"),
    html.replace("/style.css", `/${find(".css")}`).replace("/main.js", `/${find(".js")}`),
  );
}

async function* files(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield join(entry.parentPath ?? entry.path, entry.name);
  }
}

async function precompress() {
  for await (const path of files(out)) {
    if (!/\.(html|js|css|svg|json|txt|wasm)$/.test(path)) continue;
    const data = await readFile(path);
    if (data.length < 1024) continue;
    const params = { [constants.BROTLI_PARAM_QUALITY]: data.length > 1e6 ? 9 : 11 };
    await writeFile(`${path}.gz`, await promisify(gzip)(data, { level: 9 }));
    await writeFile(`${path}.br`, await promisify(brotliCompress)(data, { params }));
  }
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await writeIndex(await bundle());
await cp(join(here, "icon.svg"), join(out, "icon.svg"));
await cp(join(here, "node_modules/speedscope/dist/release"), join(out, "speedscope"), {
  recursive: true,
});
await precompress();
