#!/usr/bin/env node
/**
 * Bundle the browser side: `node browser/build.mjs [outdir]`.
 *
 * Writes hashed files, `manifest.json` (logical name to hashed name), and `NOTICE.txt` with the licences of
 * what is bundled. The parts are built in the order in which they are named: the SDK's hashed name becomes a
 * constant of the section, and the section's one of the small entry. Each can then ask for the part again under
 * another query when loading failed. Late parts of the section are built with it (late-parts.mjs).
 *
 * There are two sections: the one for our own hub has in it what that needs of the SDK, packed together; the one for
 * the hosted service loads all of the SDK, or uses that of a widget on the page. They have their late parts in common.
 */

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import {
  GROUP,
  givingSection,
  hashOf,
  leaveToSection,
  takeFromSection,
  withGroupHash,
} from "./late-parts.mjs";
import { minified } from "./minify.mjs";
import { redirect } from "./sdk/redirects.mjs";
import { shortened } from "./short-names.mjs";
import { reachedNames, withoutUnused, wordsIn } from "./unused-functions.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DEFAULT_OUTDIR = path.join(ROOT, "src/flask_chatix_comments/static/chatix_comments");
const OURS =
  /^(comments|section|section-hosted|hosted|writing|more|returning|aids|picture|sdk|signalr)-[A-Z0-9]{8}\.(js|css)$|^manifest\.json$|^NOTICE\.txt$/;

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
  outdir: "out",
  logLevel: "warning",
};

/** The same names in all parts: they use each other's objects. */
let shortNames = {};

/** Bundle one file; its name is the logical one. */
async function bundle(options) {
  const result = await esbuild.build({
    ...common,
    mangleProps: shortened,
    mangleCache: shortNames,
    ...options,
  });
  shortNames = result.mangleCache;
  const [{ path: file, text }] = result.outputFiles;
  return { name: path.basename(file), text, inputs: Object.keys(result.metafile.inputs) };
}

/** Name a file by what is in it: whoever has it need not ask for it again. */
function hashed({ name, text }) {
  const [stem, extension] = name.split(".");
  return { name: `${stem}-${hashOf(text)}.${extension}`, contents: Buffer.from(text) };
}

/** The section's late parts: by their names, the constant that a loader has for the file, and where they begin. */
const LATE_PARTS = {
  hosted: { constant: "HOSTED_FILE", entry: "browser/sdk/hosted-kinds.ts" },
  writing: { constant: "WRITING_FILE", entry: "browser/writing.ts" },
  picture: { constant: "PICTURE_FILE", entry: "browser/picture.ts" },
  returning: { constant: "RETURNING_FILE", entry: "browser/returning.ts" },
  aids: { constant: "AIDS_FILE", entry: "browser/aids.ts" },
};

const HUB_SDK = "browser/sdk/hub-sdk.ts";

/** The SDK comes when somebody asks for it. */
const sdkComesLate = {
  name: "sdk-comes-late",
  setup(build) {
    build.onResolve({ filter: /\/hub-sdk(\.ts)?$/ }, () => ({
      path: path.join(ROOT, "browser/sdk/hub-sdk-late.ts"),
    }));
  },
};

/** What calls the SDK where the hub is our own; what stands for its libraries may call it as well. */
const HUB_SOURCES = ["chat", "hub-chat"].map((name) => `browser/sdk/${name}.ts`);

/** Leave out of the SDK what is not called where the hub is our own. */
async function leaveOutUnused() {
  const options = { minify: false, minifyWhitespace: true, plugins: [sdkRedirects] };
  const define = { FULL_CLIENT_FILE: '""' };
  const { text, inputs } = await bundle({ ...options, entryPoints: { sdk: HUB_SDK }, define });
  const ours = [...HUB_SOURCES, ...inputs.filter((input) => !input.startsWith("node_modules/chatix-core/"))];
  const sources = await Promise.all(ours.map((file) => readFile(path.join(ROOT, file), "utf8")));
  const reached = reachedNames(text, wordsIn(sources.join("\n")));
  return {
    name: "leave-out-unused",
    setup(build) {
      // Its modules define classes; one that is used by nobody any more need not be there.
      build.onResolve({ filter: /^\.\// }, ({ path: file, resolveDir }) =>
        /[\\/]node_modules[\\/]chatix-core[\\/]/.test(resolveDir)
          ? { path: path.join(resolveDir, file.replace(/(\.js)?$/, ".js")), sideEffects: false }
          : undefined,
      );
      build.onLoad({ filter: /[\\/]node_modules[\\/]chatix-core[\\/].*\.js$/ }, async ({ path: file }) => ({
        contents: withoutUnused(await readFile(file, "utf8"), reached),
      }));
    },
  };
}

/** Both sections, by the names of their files. */
async function sectionKinds(define) {
  return {
    section: { define, drop: ["console"], plugins: [sdkRedirects, await leaveOutUnused()] },
    "section-hosted": { define, plugins: [sdkComesLate] },
  };
}

async function bundleSections(files) {
  const names = Object.entries(LATE_PARTS).map(([part, { constant }]) => [constant, `./${part}-${GROUP}.js`]);
  const define = constants({ ...files, ...Object.fromEntries(names) });
  const kinds = await sectionKinds(define);
  const entryPoints = ["browser/section.ts"];
  const forHub = await bundle({ ...kinds.section, entryPoints });
  const elsewhere = await bundle({ ...kinds["section-hosted"], entryPoints });
  const plugins = [leaveToSection(ROOT, [...elsewhere.inputs, HUB_SDK])];
  const late = [];
  const taken = [];
  for (const [part, { entry }] of Object.entries(LATE_PARTS)) {
    const { text, inputs } = await bundle({ entryPoints: { [part]: entry }, define, plugins });
    late.push({ name: `${part}-${GROUP}.js`, inputs, text: takeFromSection(text, taken) });
  }
  throwIfDouble([forHub, ...late]);
  const source = { contents: givingSection(taken, HUB_SDK), resolveDir: ROOT };
  const parts = [];
  for (const [name, options] of Object.entries(kinds)) {
    const { text, inputs } = await bundle({ ...options, stdin: source });
    parts.push({ name: `${name}-${GROUP}.js`, text, inputs });
  }
  parts.push(...late);
  const small = await Promise.all(
    parts.map(async ({ name, text }) => ({ name, text: await minified(text) })),
  );
  return {
    files: withGroupHash(small),
    inputs: parts.flatMap(({ inputs }) => inputs),
  };
}

/** As esbuild's `define` wants texts. */
const constants = (texts) =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, JSON.stringify(text)]));

/** What may be in several late parts: it has no state, and `instanceof` does not matter. */
const REPEATABLE = new Set(["browser/amounts.ts", "browser/keys.ts"]);

/** What else two of them need belongs into both sections, or into one late part. */
function throwIfDouble(parts) {
  const all = parts.flatMap(({ inputs }) => inputs.filter((input) => !input.startsWith("section:")));
  const double = all.find((input, index) => all.indexOf(input) < index && !REPEATABLE.has(input));
  if (double) throw new Error(`Two parts that a page may load contain ${double}.`);
}

/** For browsers that are old enough to have nested rules unfolded. */
async function bundleStyle(name) {
  const entryPoints = { [name]: `browser/${name}.css` };
  const target = ["chrome109", "firefox115", "safari16"];
  const { outputFiles } = await esbuild.build({ ...common, entryPoints, target });
  return hashed({ name: `${name}.css`, text: outputFiles[0].text });
}

async function bundleScript(name, entry, options = {}) {
  const { text, inputs } = await bundle({ ...options, entryPoints: { [name]: entry } });
  return { file: hashed({ name: `${name}.js`, text: await minified(text) }), inputs };
}

async function bundleAll() {
  const client = await bundleScript("signalr", "browser/sdk/full-client.ts");
  const clientFile = { FULL_CLIENT_FILE: `./${client.file.name}` };
  // As it was published.
  const sdk = await bundleScript("sdk", "browser/sdk/bundled-sdk.ts", {
    define: constants(clientFile),
    plugins: [sdkRedirects],
    drop: ["console"],
  });
  const [style, sectionStyle, moreStyle] = await Promise.all(
    ["comments", "section", "more"].map(bundleStyle),
  );
  const { files: parts, inputs } = await bundleSections({
    ...clientFile,
    SDK_FILE: `./${sdk.file.name}`,
    MORE_STYLE_FILE: `./${moreStyle.name}`,
  });
  const [section, hostedSection] = parts;
  const define = constants({
    SECTION_FILE: `./${section.name}`,
    HOSTED_SECTION_FILE: `./${hostedSection.name}`,
    SECTION_STYLE_FILE: `./${sectionStyle.name}`,
  });
  const entry = await bundleScript("comments", "browser/index.ts", { define });
  return {
    files: [client.file, sdk.file, ...parts, sectionStyle, moreStyle, entry.file, style],
    inputs: [...client.inputs, ...sdk.inputs, ...inputs, ...entry.inputs],
  };
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
