import { partLoader } from "./load-part";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const ACTIONS_FILE: string;

/** Load what can be done with a comment, for readers who may. */
export const loadActions = /* @__PURE__ */ partLoader<typeof import("./comment-actions")>(ACTIONS_FILE);
