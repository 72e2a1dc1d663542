// Bundle the published clients as they are, and a widget made of one: node build.mjs OUTDIR BASE_URL
// Only chatix-core's API_URL is replaced, since it is a constant that nothing can set at run time.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [outdir, baseUrl] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const vendorUrl = "'https://app1.chatix.io:5022/v1'";
let replaced = 0;

const baseUrlPlugin = {
  name: "base-url",
  setup(builder) {
    builder.onLoad({ filter: /chatix-core[\\/]src[\\/]js[\\/](connection|chat)\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const needle = `\nconst API_URL = ${vendorUrl};`;
      if (source.split(needle).length !== 2) throw new Error(`${path}: expected one API_URL`);
      replaced += 1;
      return { contents: source.replace(needle, `\nconst API_URL = ${JSON.stringify(baseUrl)};`), loader: "js" };
    });
  },
};

const entries = {
  old: 'export { HubConnectionBuilder, HttpTransportType, LogLevel } from "@aspnet/signalr";',
  new: 'export { HubConnectionBuilder, HttpTransportType, LogLevel } from "@microsoft/signalr";',
  core: 'import ChatixCore from "chatix-core"; window.ChatixCore = ChatixCore.default ?? ChatixCore;',
  widget: await readFile(join(here, "widget.js"), "utf8"),
};

for (const [name, contents] of Object.entries(entries)) {
  await build({
    stdin: { contents, resolveDir: here, loader: "js" },
    bundle: true,
    format: "iife",
    platform: "browser",
    globalName: name === "old" || name === "new" ? "signalR" : undefined,
    outfile: join(outdir, `${name}.js`),
    plugins: [baseUrlPlugin],
    logLevel: "error",
  });
}
if (replaced !== 4) throw new Error(`API_URL was replaced ${replaced} times, not twice in each of two bundles`);
