import { partLoader } from "./load-part";
import { loadMoreStyle } from "./more-style";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const RETURNING_FILE: string;

/** Load what is kept of readers who are known again: the rooms that they are in, and what they have seen. */
export const loadReturning = /* @__PURE__ */ partLoader<typeof import("./returning")>(
  RETURNING_FILE,
  loadMoreStyle,
);
