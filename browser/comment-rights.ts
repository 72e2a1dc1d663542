/** Who may change which comment, and for how long: the hub's rules, so that the page offers no more than they allow. */

import type { ThreadMessage } from "./thread-state";

/** Whoever looks at the thread. */
export interface Viewer {
  readonly selfId: string | null;
  readonly isManager: boolean;
  /** Whether the thread is read-only. */
  readonly isClosed: boolean;
  readonly editWindowMs: number;
  /** Characters in a comment. */
  readonly messageChars: number;
  /** The hub's time; `null` where nothing of one's own can be changed. */
  readonly now: () => Date | null;
}

export const isOwn = (message: ThreadMessage, viewer: Viewer): boolean => message.senderId === viewer.selfId;

/** Return for how long, in milliseconds from now; 0: not at all. */
export function changeableForMs(message: ThreadMessage, viewer: Viewer): number {
  if (viewer.isManager) return Number.POSITIVE_INFINITY;
  const now = viewer.now();
  if (!now || viewer.isClosed || message.isWhisper || !isOwn(message, viewer)) return 0;
  return Math.max(0, message.sentAt.getTime() + viewer.editWindowMs - now.getTime());
}
