// Bundles the page into kscope/server/static: hashed assets, each beside its gzip and brotli form.
import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "kscope", "server", "static");

/**
 * A part that is loaded later says that it needs `main.ts`, and these say that they need
 * `explore.ts`, which are there by then. So the modules that parts share come in few files: many
 * small ones are compressed worse.
 */
const EXPLORE = [
  ...["sandwich", "compare", "hosts", "rows", "charts", "empty"],
  ...[
    "flame_file",
    "flame_menu",
    "frame_menu",
    "transform",
    "quality",
    "new_category",
    "names_csv",
  ],
];

const parts = {
  name: "parts",
  setup(bundler) {
    const source = join(here, "src");
    bundler.onResolve({ filter: /^\.\.?\// }, ({ kind, path, resolveDir }) => {
      if (kind !== "dynamic-import") return undefined;
      return { path: `${join(resolveDir, path)}.ts`, namespace: "part" };
    });
    bundler.onLoad({ filter: /./, namespace: "part" }, ({ path }) => {
      const explores = EXPLORE.includes(basename(path, ".ts"));
      const before = ["main.ts", ...(explores ? ["explore.ts"] : [])];
      const lines = before.map((name) => `import ${JSON.stringify(join(source, name))};`);
      const contents = [...lines, `export * from ${JSON.stringify(path)};`].join("\n");
      return { contents, resolveDir: source };
    });
  },
};

/** The style sheets of parts, which `ui/sheet.ts` loads. */
const SHEETS = ["details", "compare", "changes", "home", "empty", "new_category"].map(
  (name) => `src/style/${name}.css`,
);

async function bundle() {
  const result = await build({
    plugins: [parts],
    entryPoints: ["src/main.ts", "src/style.css", "src/over.css", ...SHEETS].map((name) =>
      join(here, name),
    ),
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
  const outputs = Object.entries(result.metafile.outputs);
  await writeLicenses(Object.keys(result.metafile.inputs));
  return outputs.map(([path, { entryPoint, imports }]) => ({
    name: `assets/${basename(path)}`,
    of: entryPoint?.replace(/^.*src\//, "") ?? "",
    imports: imports.map(({ path }) => `assets/${basename(path)}`),
  }));
}

/**
 * Writes the names of the packages that the page contains, and the texts of their licences.
 * speedscope comes as it was built, so `licenses/speedscope.json` has the packages within it.
 */
async function writeLicenses(inputs) {
  const found = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  const names = new Set([...found.filter(Boolean), "speedscope"]);
  const direct = await Promise.all([...names].sort().map(licensed));
  const inner = JSON.parse(await readFile(join(here, "licenses/speedscope.json"), "utf8"));
  if (!direct.some(({ name, version }) => `${name} ${version}` === inner.within))
    throw new Error(`licenses/speedscope.json is of ${inner.within}: update it`);
  const packages = [...direct, ...inner.packages];
  const lines = packages.map(({ name, version, license, text }) => {
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  await writeFile(join(out, "licenses.txt"), lines.join(`\n${"-".repeat(80)}\n\n`));
  const described = packages.map(({ name, version, license }) => ({ name, version, license }));
  await writeFile(join(out, "packages.json"), `${JSON.stringify(described, null, 2)}\n`);
}

async function licensed(packageName) {
  const folder = join(here, "node_modules", packageName);
  const { name, version, license } = JSON.parse(
    await readFile(join(folder, "package.json"), "utf8"),
  );
  const file = (await readdir(folder)).find((each) => /^licen[cs]e(\.\w+)?$/i.test(each));
  if (file === undefined) throw new Error(`${name} has no file with its licence`);
  return { name, version, license, text: await readFile(join(folder, file), "utf8") };
}

/**
 * Names the files as they are built, with those that the script imports beside it. All are relative
 * to the page, which a proxy may have below any path.
 */
async function writeIndex(assets) {
  const built = (name) => assets.find(({ of }) => basename(of) === name);
  const preload = built("main.ts").imports.map(
    (name) => `<link rel="modulepreload" href="./${name}" />\n    `,
  );
  const html = await readFile(join(here, "index.html"), "utf8");
  await writeFile(
    join(out, "index.html"),
    html
      .replace(/"\.\/(\w+\.css)"/g, (_, name) => `"./${built(name).name}"`)
      .replace("./main.js", `./${built("main.ts").name}`)
      .replace("<script", `${preload.join("")}<script`),
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
    if (data.length < 256) continue;
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
