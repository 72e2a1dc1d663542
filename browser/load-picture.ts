import { partLoader } from "./load-part";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const PICTURE_FILE: string;

/** Load what looks into the pictures that somebody attaches. */
export const loadPicture = /* @__PURE__ */ partLoader<typeof import("./picture")>(PICTURE_FILE);
