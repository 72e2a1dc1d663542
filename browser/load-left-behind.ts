import { partLoader } from "./load-part";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const LEFT_BEHIND_FILE: string;

/** Load what leaves the rooms that earlier pages left behind. */
export const loadLeftBehind = /* @__PURE__ */ partLoader<typeof import("./left-behind")>(LEFT_BEHIND_FILE);
