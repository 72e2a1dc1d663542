/**
 * Build parts of the section that are loaded later, without what the section has in it anyway.
 *
 * Modules that the section contains are not bundled again into a late part: it takes what they export from the
 * section that loads it. So there is one of each, and `instanceof` holds across parts. The section puts these
 * exports under a symbol of the page, since importing the section's file would run another one where it was
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

/** Return a late part that takes from the section what it has in common with it, and what that is. */
export function takeFromSection(text) {
  const taken = [];
  const result = text.replace(IMPORT, (_, list, file) => {
    const pairs = list.split(",").map((item) => item.trim().split(" as "));
    taken.push(...pairs.map(([name]) => ({ name, file })));
    return `const{${pairs.map(([name, local = name]) => `${name}:${local}`).join(",")}}=${EXPORTS};`;
  });
  if (result.includes(SCHEME))
    throw new Error("A late part takes from the section in a way that is not known.");
  return { text: result, taken };
}

/** Return the source of a section that gives to its late parts what they take. */
export function givingSection(taken) {
  const files = new Map(taken.map(({ name, file }) => [name, file]));
  const double = taken.find(({ name, file }) => files.get(name) !== file);
  if (double) throw new Error(`Late parts take ${double.name} from more than one module.`);
  const imports = [...files].map(([name, file]) => `import { ${name} } from "./${file}";`);
  const names = [...files.keys()].join(", ");
  return [...imports, `${EXPORTS} = { ${names} };`, 'export * from "./browser/section";'].join("\n");
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
