/**
 * Where imports inside chatix-core lead, so that its files stay as they were published.
 *
 * The bundle (build.mjs) and the tests (vitest.config.ts) resolve by this one table.
 */

import path from "node:path";
import { fileURLToPath } from "node:url";

const SHIMS = path.join(path.dirname(fileURLToPath(import.meta.url)), "shims");

const shim = (name) => path.join(SHIMS, `${name}.ts`);

export const REDIRECTS = new Map([
  ["@aspnet/signalr", shim("signalr")],
  ["axios", shim("axios")],
  ["lz-string", shim("lz-string")],
  ["./screenBroadcast", shim("screen-broadcast")],
]);

/** Return where `specifier` leads when `importer` is a file of chatix-core, else `undefined`. */
export function redirect(specifier, importer) {
  const isSdk = /[\\/]node_modules[\\/]chatix-core[\\/]/.test(importer ?? "");
  return isSdk ? REDIRECTS.get(specifier) : undefined;
}
