import type { SharedFile, ThreadMessage } from "../../browser/thread-state";

/** Make the message of this number in its room; later numbers are sent later. */
export function message(number: number, changes: Partial<ThreadMessage> = {}): ThreadMessage {
  return {
    id: `m${number}`,
    seq: number,
    sentAt: new Date(number * 1000),
    editedAt: null,
    senderId: "other",
    senderName: "Kim",
    isFromManager: false,
    isWhisper: false,
    text: `text ${number}`,
    file: null,
    ...changes,
  };
}

/** Make an image as the hosted service tells of it: by its addresses alone. */
export function sharedImage(changes: Partial<SharedFile> = {}): SharedFile {
  return {
    url: "https://hub.example/files/a/cat.png",
    isImage: true,
    thumbUrl: "https://hub.example/files/a/300.png",
    name: null,
    sizeBytes: null,
    width: null,
    height: null,
    ...changes,
  };
}

/** Make another file. */
export function sharedFile(changes: Partial<SharedFile> = {}): SharedFile {
  return sharedImage({
    url: "https://hub.example/files/b/notes.pdf",
    isImage: false,
    thumbUrl: null,
    ...changes,
  });
}
