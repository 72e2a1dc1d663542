/** Upload a file by the SDK's own code, up to the message that it would post. */

import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { SdkChat, SdkConnection, SdkMessage } from "chatix-core/src/js/chatixcore.js";
import { isFinal } from "../site";
import { LineError, RefusedError } from "./chat";
import { loadHubSdk } from "./hub-sdk";
import { loadSdk } from "./load-sdk";
import { type Transfer, upload, watch } from "./upload-request";

/** Statuses of uploads. */
const STALE_TICKET = 401;
const TOO_LARGE = 413;

/** A file that is on the service, but in no chatroom yet. */
export interface UploadedFile {
  /** No two uploads have one: it tells whether a message holds this one. */
  readonly url: string;
  /** What the SDK would post. Posting it again does not upload again. */
  readonly draft: SdkMessage;
}

/**
 * Upload a file, or give it up when the transfer's signal comes. Rejects with LineError or RefusedError.
 *
 * @param ticketIsStale Called when the service does not accept the ticket any more, with which the line began.
 */
export async function uploadFile(
  core: ChatixCore,
  file: File,
  chatroomId: string,
  transfer: Transfer,
  ticketIsStale: () => void,
): Promise<UploadedFile> {
  // The SDK of a widget on the page has an uploader of its own, which nobody can watch.
  for (const sdk of [loadHubSdk, loadSdk]) sdk.loaded?.uploadBy(upload);
  watch(file, transfer);
  if (transfer.signal.aborted) throw new LineError("The file is not wanted any more.", false);
  const uploaded = await uploadBySdk(core, file, chatroomId).catch((error) => {
    if (answerIn(error).status === STALE_TICKET) ticketIsStale();
    throw uploadFailure(error);
  });
  if (!uploaded) throw new RefusedError("");
  return uploaded;
}

/**
 * Upload, and keep the message instead of posting it.
 *
 * Q1: the SDK uploads to the room and forgets the room when it posts. So its code runs on a copy of its chat, whose
 * connection hands the message back; the SDK's own objects stay as they are, also while several uploads run.
 *
 * Resolves to `null` when the service's answer names no file.
 */
async function uploadBySdk(core: ChatixCore, file: File, chatroomId: string): Promise<UploadedFile | null> {
  const connection: SdkConnection = Object.create(core.chat.connection);
  connection.sendChatroomMessage = async (draft: SdkMessage) => draft;
  const chat: SdkChat = Object.create(core.chat);
  chat.connection = connection;
  // Q2: the file comes first. An array is answered, even for one file.
  const [draft] = await chat.sendChatroomFileMessage(file, chatroomId);
  const url = draft?.original_url ?? draft?.file_url;
  return draft && typeof url === "string" ? { url, draft } : null;
}

/** What the service said to an upload, as axios and our shim of it tell it; nothing if it did not answer. */
function answerIn(error: unknown): { status: number | undefined; sentence: string | undefined } {
  const { response } = error as { response?: { status: number; data: unknown } };
  const said = (response?.data as { error?: unknown } | null | undefined)?.error;
  return { status: response?.status, sentence: typeof said === "string" ? said : undefined };
}

/** A refusal has a sentence, or at least a status that is final; anything else is the line's fault and may pass. */
function uploadFailure(error: unknown): LineError | RefusedError {
  const { status, sentence } = answerIn(error);
  const mayPass = status === undefined || status === STALE_TICKET || !(sentence || isFinal(status));
  if (mayPass) return new LineError("The file could not be uploaded.", false);
  return new RefusedError(
    sentence ?? (status === TOO_LARGE ? "The server does not take files of this size." : ""),
  );
}
