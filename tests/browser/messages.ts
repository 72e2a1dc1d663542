import type { ThreadMessage } from "../../browser/thread-state";

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
    text: `text ${number}`,
    url: null,
    ...changes,
  };
}
