import { partLoader } from "../load-part";

/** The hashed name of the bundled SDK, filled in by build.mjs. */
declare const SDK_FILE: string;

/** Load the SDK of our own; pages that use the Chatix widget's never do. */
export const loadSdk = /* @__PURE__ */ partLoader<typeof import("./bundled-sdk")>(SDK_FILE);
