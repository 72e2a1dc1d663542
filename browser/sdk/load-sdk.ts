import { partLoader } from "../load-part";

/** The hashed name of the bundled SDK, filled in by build.mjs. */
declare const SDK_FILE: string;

/** Load the SDK of our own; pages that use the Chatix widget's never do. */
export const loadSdk = /* @__PURE__ */ partLoader<typeof import("./bundled-sdk")>(SDK_FILE);

/** The hashed name of the bundled SDK with all that it can, filled in by build.mjs. */
declare const WHOLE_SDK_FILE: string;

/** Load all of the SDK, of which the hosted service needs more than our hub. */
export const loadWholeSdk = /* @__PURE__ */ partLoader<typeof import("./bundled-sdk")>(WHOLE_SDK_FILE);
