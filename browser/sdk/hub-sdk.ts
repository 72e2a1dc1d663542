/**
 * The SDK for our own hub: in the section's own file, without what nobody calls there (build.mjs).
 *
 * In the section for sites on the hosted service, hub-sdk-late.ts stands in its place.
 */

import type { PartLoader } from "../load-part";
import { axios, ChatixCore, setApiBase, uploadBy } from "./bundled-sdk";

const sdk = { axios, ChatixCore, setApiBase, uploadBy };

export const loadHubSdk: PartLoader<typeof import("./bundled-sdk")> = /* @__PURE__ */ Object.assign(
  async () => sdk,
  { loaded: sdk },
);
