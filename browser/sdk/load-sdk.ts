import { partLoader } from "../load-part";

/** The hashed name of the bundled SDK, filled in by build.mjs. */
declare const SDK_FILE: string;

/** Load all of the SDK, as the hosted service needs it. */
export const loadSdk = /* @__PURE__ */ partLoader<typeof import("./bundled-sdk")>(SDK_FILE);
