import type { Access } from "../site";
import type { Chat, ChatListener } from "./chat";
import { HostedChat } from "./hosted-chat";
import { HubChat } from "./hub-chat";
import { WidgetChat } from "./widget-chat";

const HOSTED_KINDS = { bundled: HostedChat, widget: WidgetChat } as const;

/** Make a chat for what the site's answer names; `start` connects it. */
export function newChat(access: Access, listener: ChatListener): Chat {
  const Kind = access.mode === "hub" ? HubChat : HOSTED_KINDS[access.sdk];
  return new Kind(access, listener);
}
