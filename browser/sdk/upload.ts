/** Upload a file by the SDK's own code, up to the message that it would post. */

import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { SdkChat, SdkConnection, SdkMessage } from "chatix-core/src/js/chatixcore.js";

/** A file that is on the service, but in no chatroom yet. */
export interface UploadedFile {
  /** No two uploads have one: it tells whether a message holds this one. */
  readonly url: string;
  /** What the SDK would post. Posting it again does not upload again. */
  readonly draft: SdkMessage;
}

/**
 * Upload, and keep the message instead of posting it.
 *
 * Q1: the SDK uploads to the room and forgets the room when it posts. So its code runs on a copy of its chat, whose
 * connection hands the message back; the SDK's own objects stay as they are, also while several uploads run.
 *
 * Resolves to `null` when the service's answer names no file.
 */
export async function uploadBySdk(
  core: ChatixCore,
  file: File,
  chatroomId: string,
): Promise<UploadedFile | null> {
  const connection: SdkConnection = Object.create(core.chat.connection);
  connection.sendChatroomMessage = async (draft: SdkMessage) => draft;
  const chat: SdkChat = Object.create(core.chat);
  chat.connection = connection;
  // Q2: the file comes first. An array is answered, even for one file.
  const [draft] = await chat.sendChatroomFileMessage(file, chatroomId);
  const url = draft?.original_url ?? draft?.file_url;
  return draft && typeof url === "string" ? { url, draft } : null;
}
