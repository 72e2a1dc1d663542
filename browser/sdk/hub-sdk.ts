/**
 * The SDK for our own hub: in the section's own file, without what nobody calls there (build.mjs).
 *
 * In the section for sites on the hosted service, hub-sdk-late.ts stands in its place.
 */

import { ChatixCore, setApiBase } from "./bundled-sdk";

export const loadHubSdk = async () => ({ ChatixCore, setApiBase });
