#!/usr/bin/env node
/**
 * Bundle the browser side: `node browser/build.mjs [outdir]`.
 *
 * Writes hashed files, `manifest.json` (logical name to hashed name), and `NOTICE.txt` with the licences of
 * what is bundled. The parts are built in the order in which they are named: the SDK's hashed name becomes a
 * constant of the section, and the section's one of the small entry. Each can then ask for the part again under
 * another query when loading failed. Late parts of the section are built with it (late-parts.mjs).
 */

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { GROUP, givingSection, leaveToSection, takeFromSection, withGroupHash } from "./late-parts.mjs";
import { redirect } from "./sdk/redirects.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DEFAULT_OUTDIR = path.join(ROOT, "src/flask_chatix_comments/static/chatix_comments");
const OURS =
  /^(comments|section|hosted|writing|more|lightbox|picture|leaving|sdk|signalr)-[A-Z0-9]{8}\.(js|css)$|^manifest\.json$|^NOTICE\.txt$/;

/** Licence text of everything that may end up in the bundle; a package that is not here stops the build. */
const LICENCES = {
  "chatix-core": "node_modules/chatix-core/LICENSE.md",
  "@microsoft/signalr": "browser/licenses/microsoft-signalr.txt",
};

const sdkRedirects = {
  name: "sdk-redirects",
  setup(build) {
    const seen = new Set();
    build.onResolve({ filter: /./ }, ({ path: specifier, importer }) => {
      const target = redirect(specifier, importer);
      if (target) seen.add(specifier);
      return target ? { path: target } : undefined;
    });
    build.onEnd(() => {
      // Were the SDK to spell an import differently, its own dependency would slip in unnoticed.
      const missing = ["@aspnet/signalr", "axios", "lz-string", "./screenBroadcast"].filter(
        (name) => !seen.has(name),
      );
      return missing.length
        ? { errors: [{ text: `chatix-core no longer imports ${missing.join(", ")}` }] }
        : {};
    });
  },
};

const common = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  entryNames: "[name]-[hash]",
  outdir: "out",
  logLevel: "warning",
};

async function bundle(options) {
  const result = await esbuild.build({ ...common, ...options });
  const files = result.outputFiles.map(({ path: file, contents }) => ({
    name: path.basename(file),
    contents,
  }));
  return { files, inputs: Object.keys(result.metafile.inputs) };
}

/** The section's late parts: by their names, the constant that a loader has for the file, and where they begin. */
const LATE_PARTS = {
  hosted: { constant: "HOSTED_FILE", entry: "browser/sdk/hosted-kinds.ts" },
  writing: { constant: "WRITING_FILE", entry: "browser/writing.ts" },
  lightbox: { constant: "LIGHTBOX_FILE", entry: "browser/lightbox-dialog.ts" },
  picture: { constant: "PICTURE_FILE", entry: "browser/picture.ts" },
  leaving: { constant: "LEFT_BEHIND_FILE", entry: "browser/left-behind.ts" },
};

async function bundleSection(sdkFile, moreStyleFile) {
  const names = Object.entries(LATE_PARTS).map(([part, { constant }]) => [
    constant,
    JSON.stringify(`./${part}-${GROUP}.js`),
  ]);
  const define = {
    SDK_FILE: JSON.stringify(`./${sdkFile}`),
    MORE_STYLE_FILE: JSON.stringify(`./${moreStyleFile}`),
    ...Object.fromEntries(names),
  };
  const alone = await bundle({ entryPoints: { section: "browser/section.ts" }, define });
  const plugins = [leaveToSection(ROOT, alone.inputs)];
  const late = [];
  for (const [part, { entry }] of Object.entries(LATE_PARTS)) {
    const { files, inputs } = await bundle({ entryPoints: { [part]: entry }, define, plugins });
    late.push({ name: `${part}-${GROUP}.js`, inputs, ...takeFromSection(textOf(files)) });
  }
  throwIfDouble(late);
  const source = { contents: givingSection(late.flatMap(({ taken }) => taken)), resolveDir: ROOT };
  const section = await bundle({ stdin: source, define });
  return {
    files: withGroupHash([{ name: `section-${GROUP}.js`, text: textOf(section.files) }, ...late]),
    inputs: [...section.inputs, ...late.flatMap(({ inputs }) => inputs)],
  };
}

const textOf = ([{ contents }]) => Buffer.from(contents).toString();

/** What two late parts need belongs into the section, or into one of them. */
function throwIfDouble(late) {
  const all = late.flatMap(({ inputs }) => inputs.filter((input) => !input.startsWith("section:")));
  const double = all.find((input, index) => all.indexOf(input) < index);
  if (double) throw new Error(`Two late parts contain ${double}.`);
}

/** For browsers that are old enough to have nested rules unfolded. */
function bundleStyle(name) {
  const entryPoints = { [name]: `browser/${name}.css` };
  return bundle({ entryPoints, target: ["chrome109", "firefox115", "safari16"] });
}

async function bundleAll() {
  const client = await bundle({ entryPoints: { signalr: "browser/sdk/full-client.ts" } });
  const sdk = await bundle({
    entryPoints: { sdk: "browser/sdk/bundled-sdk.ts" },
    define: { FULL_CLIENT_FILE: JSON.stringify(`./${client.files[0].name}`) },
    plugins: [sdkRedirects],
  });
  const moreStyle = await bundleStyle("more");
  const section = await bundleSection(sdk.files[0].name, moreStyle.files[0].name);
  const style = await bundleStyle("comments");
  const sectionStyle = await bundleStyle("section");
  const entry = await bundle({
    entryPoints: { comments: "browser/index.ts" },
    define: {
      SECTION_FILE: JSON.stringify(`./${section.files[0].name}`),
      SECTION_STYLE_FILE: JSON.stringify(`./${sectionStyle.files[0].name}`),
    },
  });
  const parts = [client, sdk, section, sectionStyle, moreStyle, entry, style];
  return { files: parts.flatMap(({ files }) => files), inputs: parts.flatMap(({ inputs }) => inputs) };
}

/** `comments-1A2B3C4D.js` is asked for as `comments.js`. */
const logicalName = (name) => name.replace(/-[A-Z0-9]{8}(?=\.)/, "");

async function notice(inputs) {
  const packages = new Set(
    inputs.flatMap((input) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []),
  );
  const parts = ["These files contain code of the following packages.\n"];
  for (const name of [...packages].sort()) {
    if (!(name in LICENCES)) throw new Error(`${name} is bundled, but build.mjs does not know its licence.`);
    const { version } = JSON.parse(
      await readFile(path.join(ROOT, "node_modules", name, "package.json"), "utf8"),
    );
    const licence = await readFile(path.join(ROOT, LICENCES[name]), "utf8");
    parts.push(`${"-".repeat(80)}\n${name} ${version}\n\n${licence.trim()}\n`);
  }
  return parts.join("\n");
}

/** Readers of the folder see old names or new ones, never a manifest that points at nothing. */
async function writeOut(outdir, files) {
  await mkdir(outdir, { recursive: true });
  for (const { name, contents } of files) {
    const temporary = path.join(outdir, `.${name}.new`);
    await writeFile(temporary, contents);
    await rename(temporary, path.join(outdir, name));
  }
  const wanted = new Set(files.map(({ name }) => name));
  const stale = (await readdir(outdir)).filter((name) => OURS.test(name) && !wanted.has(name));
  await Promise.all(stale.map((name) => rm(path.join(outdir, name))));
}

function report(files) {
  const rows = files.map(({ name, contents }) => [
    name,
    contents.length,
    gzipSync(contents, { level: 9 }).length,
    brotliCompressSync(contents).length,
  ]);
  const total = [1, 2, 3].map((column) => rows.reduce((sum, row) => sum + row[column], 0));
  const line = ([name, ...sizes]) =>
    name.padEnd(24) + sizes.map((size) => String(size).padStart(10)).join("");
  const table = [line(["bytes", "raw", "gzip", "brotli"]), ...rows.map(line), line(["total", ...total])];
  process.stdout.write(`${table.join("\n")}\n`);
}

async function main(outdir = DEFAULT_OUTDIR) {
  const { files, inputs } = await bundleAll();
  const manifest = Object.fromEntries(files.map(({ name }) => [logicalName(name), name]));
  await writeOut(outdir, [
    ...files,
    { name: "NOTICE.txt", contents: await notice(inputs) },
    { name: "manifest.json", contents: `${JSON.stringify(manifest, null, 2)}\n` },
  ]);
  report(files);
}

await main(process.argv[2]);
