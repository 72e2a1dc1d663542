import { partLoader } from "./load-part";

/** The hashed name of the bundled section, filled in by build.mjs. */
declare const SECTION_FILE: string;

/** Load what runs a comment section. */
export const loadSection = /* @__PURE__ */ partLoader<typeof import("./section")>(SECTION_FILE);
