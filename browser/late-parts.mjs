/**
 * Build parts of the section that are loaded later, without what the section has in it anyway.
 *
 * Modules that the section contains are not bundled again into a late part: it takes what they export from the
 * section that loads it. So there is one of each, and `instanceof` holds across parts. The section puts a list of
 * these exports under a symbol of the page, since importing the section's file would run another one where it was
 * loaded under another query.
 */

import { createHash } from "node:crypto";
import path from "node:path";

/** Stands for the hash of the section and its late parts, which is known when all of them are built. */
export const GROUP = "%GROUP%";
const EXPORTS = `globalThis[Symbol.for("chatix-comments ${GROUP}")]`;
const SCHEME = "section:";
const IMPORT = new RegExp(`import\\s*{([^}]*)}\\s*from\\s*"${SCHEME}([^"]+)";`, "g");

/** Leave imports of these files (relative to `root`, as in esbuild's metafile) to `takeFromSection`. */
export function leaveToSection(root, inputs) {
  const files = new Set(inputs);
  return {
    name: "leave-to-section",
    setup(build) {
      build.onResolve({ filter: /^\.\.?\// }, async ({ path: specifier, pluginData, ...at }) => {
        if (pluginData === SCHEME) return undefined;
        const options = {
          kind: at.kind,
          importer: at.importer,
          resolveDir: at.resolveDir,
          pluginData: SCHEME,
        };
        const resolved = await build.resolve(specifier, options);
        const file = path.relative(root, resolved.path);
        return files.has(file) ? { path: SCHEME + file, external: true } : resolved;
      });
    },
  };
}

/**
 * Return a late part that takes from the section what it has in common with it.
 *
 * @param taken What all late parts take, in the order of the section's list: this one's is added.
 */
export function takeFromSection(text, taken) {
  const locals = [];
  const rest = text.replace(IMPORT, (_, list, file) => {
    for (const item of list.split(",")) {
      const [name, local = name] = item.trim().split(" as ");
      locals.push(`${placeOf(name, file, taken)}:${local}`);
    }
    return "";
  });
  if (rest.includes(SCHEME))
    throw new Error("A late part takes from the section in a way that is not known.");
  return `const{${locals.join(",")}}=${EXPORTS};${rest}`;
}

function placeOf(name, file, taken) {
  const place = taken.findIndex((other) => other.name === name && other.file === file);
  return place < 0 ? taken.push({ name, file }) - 1 : place;
}

/**
 * Return the source of a section that gives to its late parts what they take.
 *
 * @param first The module that is to stand before the others: gzip looks back 32 kilobytes.
 */
export function givingSection(taken, first) {
  const imports = taken.map(({ name, file }, place) => `import { ${name} as e${place} } from "./${file}";`);
  const list = taken.map((_, place) => `e${place}`).join(", ");
  return [
    `import "./${first}";`,
    ...imports,
    `${EXPORTS} = [${list}];`,
    'export * from "./browser/section";',
  ].join("\n");
}

/** Return eight characters of base 32 that stand for a text. */
export function hashOf(text) {
  const digest = createHash("sha256").update(text).digest("hex");
  return BigInt(`0x${digest}`).toString(32).slice(-8).toUpperCase();
}

/** Give the files of a group, built with `GROUP` in texts and names, their common hash. */
export function withGroupHash(files) {
  const hash = hashOf(files.map(({ name, text }) => `${name}\0${text}\0`).join(""));
  return files.map(({ name, text }) => ({
    name: name.replace(GROUP, hash),
    contents: Buffer.from(text.replaceAll(GROUP, hash)),
  }));
}
