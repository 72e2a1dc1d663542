import type { Access } from "../site";
import type { Chat, ChatListener } from "./chat";
import { HostedChat } from "./hosted-chat";
import { HubChat } from "./hub-chat";

/** Make a chat for what the site's answer names; `start` connects it. */
export function newChat(access: Access, listener: ChatListener): Chat {
  return access.mode === "hub" ? new HubChat(access, listener) : new HostedChat(access, listener);
}
