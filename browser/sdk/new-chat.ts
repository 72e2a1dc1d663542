import { partLoader } from "../load-part";
import type { Access } from "../site";
import { type Chat, type ChatListener, rethrowAsLineError } from "./chat";
import { HubChat } from "./hub-chat";

/** The hashed name of the bundled part, filled in by build.mjs. */
declare const HOSTED_FILE: string;

/** Load what pages need whose chatrooms are on the hosted service. */
export const loadHosted = /* @__PURE__ */ partLoader<typeof import("./hosted-kinds")>(HOSTED_FILE);

/** Make a chat for what the site's answer names; `start` connects it. Rejects with LineError. */
export async function newChat(access: Access, listener: ChatListener): Promise<Chat> {
  if (access.mode === "hub") return new HubChat(access, listener);
  const { HOSTED_KINDS } = await loadHosted().catch(rethrowAsLineError);
  return new HOSTED_KINDS[access.sdk](access, listener);
}
