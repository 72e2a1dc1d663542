/** Records as they come over the line, to what the section works with. Unknown and broken ones become `null`. */

import type { Change, SharedFile, ThreadMessage } from "../thread-state";

export type Json = Record<string, unknown>;

/** Opaque: it is handed back as it came. */
export type Cursor = string | number | Json;

export const MANAGER_FLAG = 1;

/** Read a raw Message record, our hub's four more keys included. */
export function messageFrom(data: unknown): ThreadMessage | null {
  if (!isRecord(data) || typeof data.uuid !== "string" || typeof data.sent_at !== "number") return null;
  return {
    id: data.uuid,
    seq: typeof data.seq === "number" ? data.seq : 0,
    sentAt: fromUnix(data.sent_at),
    editedAt: typeof data.edited_at === "number" ? fromUnix(data.edited_at) : null,
    senderId: String(data.sender_id),
    senderName: textOrNull(data.sender_name),
    isFromManager: data.sender_flag === MANAGER_FLAG,
    isWhisper: data.is_whisper === true,
    text: textOrNull(data.content) ?? "",
    file: fileFrom(data),
  };
}

/** Read an item of `GetChatroomChanges`. */
export function changeFrom(data: unknown): Change | null {
  if (isRecord(data) && data.is_deleted === true && typeof data.uuid === "string")
    return { deletedId: data.uuid };
  const message = messageFrom(data);
  return message && { message };
}

/** Read the items of a paged answer, leaving out what cannot be read. */
export function listOf<T>(answer: Json | null, read: (item: unknown) => T | null): T[] {
  const items = Array.isArray(answer?.items) ? answer.items : [];
  return items.flatMap((item) => read(item) ?? []);
}

/** Name, size and measures are extras of our hub. */
export function fileFrom(data: Json): SharedFile | null {
  const image = textOrNull(data.original_url);
  const url = image ?? textOrNull(data.file_url);
  if (url === null) return null;
  return {
    url,
    isImage: image !== null,
    thumbUrl: textOrNull(data.thumb_300_url),
    name: textOrNull(data.file_name),
    sizeBytes: numberOrNull(data.file_size),
    width: numberOrNull(data.width),
    height: numberOrNull(data.height),
  };
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

export const numberOrNull = (value: unknown): number | null =>
  typeof value === "number" && value >= 0 ? value : null;

export const fromUnix = (seconds: number): Date => new Date(seconds * 1000);

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null;
