/** Bring a file to the service, up to the message that has it. */

import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { SdkChat, SdkConnection, SdkMessage } from "chatix-core/src/js/chatixcore.js";
import { isFinal } from "../site";
import { type Chat, LineError, noLine, RefusedError } from "./chat";
import { loadSdk } from "./load-sdk";
import { type Transfer, upload, watch } from "./upload-request";
import type { Json } from "./wire";

/** Statuses of uploads. */
const STALE_TICKET = 401;
const TOO_LARGE = 413;

/** As the SDK has them (message.js). */
const IMAGE_MESSAGE = 4;
const FILE_MESSAGE = 5;
const IMAGE_TYPES: readonly string[] = ["image/jpeg", "image/png"];

/** A file that is on the service, but in no chatroom yet. */
export interface UploadedFile {
  /** No two uploads have one: it tells whether a message holds this one. */
  readonly url: string;
  /** What is to be posted. Posting it again does not upload again. */
  readonly draft: SdkMessage;
}

/** What the service said to an upload; nothing if it did not answer. */
interface Answer {
  readonly status?: number | undefined;
  /** Why not, for the reader. */
  readonly sentence?: string | undefined;
}

/** Upload a file to our hub, or give it up when the transfer's signal comes. Rejects with LineError or RefusedError. */
export function uploadToHub(chat: Chat, file: File, transfer: Transfer): Promise<UploadedFile> {
  const { apiUrl, websiteId, chatroomId, ticket } = chat.access;
  const query = `visitorId=${ticket}&websiteId=${websiteId}&chatroomId=${chatroomId}`;
  const body = new FormData();
  body.append("formFile", file);
  return uploadWatched(chat, file, transfer, async () => {
    const { status, text } = await upload(`${apiUrl.replace(/\/+$/, "")}/file/save?${query}`, body);
    const data = parse(text);
    if (status < 200 || status > 299) throw uploadFailure(chat, { status, sentence: sentenceIn(data) });
    return draftFrom(data, IMAGE_TYPES.includes(file.type));
  });
}

/** The same to the hosted service, by the SDK's own code. */
export function uploadBySdk(chat: Chat, file: File, transfer: Transfer): Promise<UploadedFile> {
  // The SDK of a widget on the page has an uploader of its own, which nobody can watch.
  loadSdk.loaded?.uploadBy(upload);
  return uploadWatched(chat, file, transfer, () => draftOfSdk(chat.core, file, chat.access.chatroomId));
}

async function uploadWatched(
  chat: Chat,
  file: File,
  transfer: Transfer,
  action: () => Promise<SdkMessage | undefined>,
): Promise<UploadedFile> {
  if (!chat.isConnected) throw noLine();
  if (transfer.signal.aborted) throw new LineError("The file is not wanted any more.", false);
  watch(file, transfer);
  const draft = await action().catch((error) => {
    throw error instanceof LineError || error instanceof RefusedError
      ? error
      : uploadFailure(chat, answerIn(error));
  });
  const url = draft?.original_url ?? draft?.file_url;
  // The service's answer names no file.
  if (!draft || typeof url !== "string") throw new RefusedError("");
  return { url, draft };
}

function draftFrom(data: unknown, isImage: boolean): SdkMessage {
  const { fileUrl, thumb300Url, thumb100Url } = (data ?? {}) as Json;
  const draft = isImage
    ? { type: IMAGE_MESSAGE, original_url: fileUrl, thumb_300_url: thumb300Url, thumb_100_url: thumb100Url }
    : { type: FILE_MESSAGE, file_url: fileUrl };
  return { content: "", ...draft } as unknown as SdkMessage;
}

/**
 * Upload, and keep the message instead of posting it.
 *
 * Q1: the SDK uploads to the room and forgets the room when it posts. So its code runs on a copy of its chat, whose
 * connection hands the message back; the SDK's own objects stay as they are, also while several uploads run.
 */
async function draftOfSdk(core: ChatixCore, file: File, chatroomId: string): Promise<SdkMessage | undefined> {
  const connection: SdkConnection = Object.create(core.chat.connection);
  connection.sendChatroomMessage = async (draft: SdkMessage) => draft;
  const chat: SdkChat = Object.create(core.chat);
  chat.connection = connection;
  // Q2: the file comes first. An array is answered, even for one file.
  const [draft] = await chat.sendChatroomFileMessage(file, chatroomId);
  return draft;
}

/** As axios and our shim of it tell it. */
function answerIn(error: unknown): Answer {
  const { response } = error as { response?: { status: number; data: unknown } };
  return { status: response?.status, sentence: sentenceIn(response?.data) };
}

function sentenceIn(data: unknown): string | undefined {
  const said = (data as { error?: unknown } | null | undefined)?.error;
  return typeof said === "string" ? said : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A refusal has a sentence, or at least a status that is final; anything else is the line's fault and may pass. */
function uploadFailure(chat: Chat, { status, sentence }: Answer): LineError | RefusedError {
  // The line was let in once and stays; for each upload the ticket is looked at. A new line has a new one.
  if (status === STALE_TICKET) void chat.drop();
  const mayPass = status === undefined || status === STALE_TICKET || !(sentence || isFinal(status));
  if (mayPass) return new LineError("The file could not be uploaded.", false);
  return new RefusedError(
    sentence ?? (status === TOO_LARGE ? "The server does not take files of this size." : ""),
  );
}
