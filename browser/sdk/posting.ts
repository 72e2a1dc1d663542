/** What a visitor does in a chatroom beside reading. */

import type { Admission } from "../site";
import type { ThreadMessage } from "../thread-state";
import type { Chat } from "./chat";
import type { DocumentedChat } from "./documented-chat";
import { HubChat } from "./hub-chat";
import { HubPosting } from "./hub-posting";
import type { UploadedFile } from "./upload";
import type { Transfer } from "./upload-request";

/** Calls reject with LineError or RefusedError, and with nothing else. */
export interface Posting {
  /** Whether it is the site that says who the visitor is. */
  readonly isVisitorOfSite: boolean;
  /** Whether the visitor of the connection is the one that the site has admitted. */
  isOf(admission: Admission): boolean;
  /** Announce the visitor's name to the chat service, where the site cannot do it. */
  announce(name: string): Promise<void>;
  send(text: string, clientKey: string): Promise<ThreadMessage>;
  /** Send what only managers will see; for managers. */
  whisper(text: string, clientKey: string): Promise<ThreadMessage>;
  edit(messageId: string, text: string): Promise<ThreadMessage>;
  remove(messageId: string): Promise<void>;
  /** Bring a file to the service, for `sendUploaded`. It takes as long as it takes, while something moves. */
  upload(file: File, transfer: Transfer): Promise<UploadedFile>;
  /** Post what `upload` brought to the service; on our hub, posting it again finds the first message. */
  sendUploaded(uploaded: UploadedFile): Promise<ThreadMessage>;
}

/** Return how to post where this chat is. Chats of the hosted service, which come late anyway, can do it themselves. */
export const postingOf = (chat: Chat): Posting =>
  chat instanceof HubChat ? new HubPosting(chat) : (chat as DocumentedChat);
