import { defineConfig } from "vitest/config";
import { redirect } from "./browser/sdk/redirects.mjs";

export default defineConfig({
  define: {
    SECTION_FILE: JSON.stringify("./section.ts"),
    HOSTED_SECTION_FILE: JSON.stringify("./section.ts"),
    SECTION_STYLE_FILE: JSON.stringify("./section.css"),
    SDK_FILE: JSON.stringify("./sdk/bundled-sdk.ts"),
    HOSTED_FILE: JSON.stringify("./sdk/hosted-kinds.ts"),
    WRITING_FILE: JSON.stringify("./writing.ts"),
    MORE_STYLE_FILE: JSON.stringify("./more.css"),
    RETURNING_FILE: JSON.stringify("./returning.ts"),
    PICTURE_FILE: JSON.stringify("./picture.ts"),
    AIDS_FILE: JSON.stringify("./aids.ts"),
    FULL_CLIENT_FILE: JSON.stringify("./sdk/full-client.ts"),
  },
  plugins: [
    {
      name: "sdk-redirects",
      enforce: "pre",
      resolveId: (specifier, importer) => redirect(specifier, importer),
    },
  ],
  test: {
    environment: "happy-dom",
    environmentOptions: { happyDOM: { url: "http://blog.test/posts/tides/" } },
    include: ["tests/browser/**/*.test.ts"],
    // The SDK is published as ES modules in .js files without a "type": it has to be transformed.
    server: { deps: { inline: ["chatix-core"] } },
    restoreMocks: true,
    unstubGlobals: true,
    coverage: { provider: "v8", include: ["browser/**/*.ts"], reporter: ["text"] },
    maxWorkers: 2,
    // Time is faked where it counts. These limits are for what hangs, and not for a machine that has much to do.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
