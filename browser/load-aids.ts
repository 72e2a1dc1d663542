import { partLoader } from "./load-part";
import { loadMoreStyle } from "./more-style";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const AIDS_FILE: string;

/** Load what helps to read threads with files or tall comments, those that grow elsewhere, and links to one comment. */
export const loadAids = /* @__PURE__ */ partLoader<typeof import("./aids")>(AIDS_FILE, loadMoreStyle);
