/** The chats of the hosted service: a part of its own, since our own hub needs none of them. */

import { HostedChat } from "./hosted-chat";
import { WidgetChat } from "./widget-chat";

export const HOSTED_KINDS = { bundled: HostedChat, widget: WidgetChat } as const;
