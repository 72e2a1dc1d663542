import { partLoader } from "./load-part";
import { loadMoreStyle } from "./more-style";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const WRITING_FILE: string;

/** Load what becomes of a comment that somebody writes. */
export const loadWriting = /* @__PURE__ */ partLoader<typeof import("./writing")>(
  WRITING_FILE,
  loadMoreStyle,
);
