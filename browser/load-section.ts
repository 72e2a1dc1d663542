/** Load the part that holds the SDK, once; after a failure the next call tries again. */

/** The hashed name of the bundled section, filled in by build.mjs. */
declare const SECTION_FILE: string;

type SectionModule = typeof import("./section");

let loading: Promise<SectionModule> | undefined;
let failures = 0;

export function loadSection(): Promise<SectionModule> {
  loading ??= importSection().catch((error: unknown) => {
    loading = undefined;
    failures += 1;
    throw error;
  });
  return loading;
}

function importSection(): Promise<SectionModule> {
  // Browsers may remember that an address failed to load for as long as the page lives.
  const query = failures ? `?retry=${failures}` : "";
  return import(new URL(SECTION_FILE + query, import.meta.url).href);
}
