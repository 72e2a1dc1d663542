/** What this browser keeps for us, and the locks by which tabs know of each other. */

/** How the keys begin of rooms that a page has joined (room-ledger.ts). */
export const ROOM_PREFIX = "chatix-comments:room:";
/** How the keys begin of texts that were not posted (kept-texts.ts). */
export const TEXT_PREFIX = "chatix-comments:text:";

/** Return the browser's storage; `null` where it is blocked, which makes the mere access throw. */
export function findStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/** Return the browser's locks; `null` on plain http and in old browsers. */
export const findLocks = (): LockManager | null => navigator.locks ?? null;

/** Whether anything is stored under a key that begins so. */
export const hasStored = (prefix: string): boolean =>
  Object.keys(findStorage() ?? {}).some((key) => key.startsWith(prefix));
