import { partLoader } from "../load-part";

/** The hashed name of the bundled client, filled in by build.mjs. */
declare const FULL_CLIENT_FILE: string;

/** Load the client that knows the ways around a blocked WebSocket. */
export const loadFullClient = /* @__PURE__ */ partLoader<typeof import("./full-client")>(FULL_CLIENT_FILE);
