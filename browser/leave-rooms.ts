/** Leave rooms of the hosted service that no tab shows, by a connection made for that. */

import { isShown, type LedgerEntry } from "./room-ledger";
import type { ChatListener } from "./sdk/chat";
import { newChat } from "./sdk/new-chat";
import type { Access } from "./site";

const NOBODY: ChatListener = {
  received() {},
  updated() {},
  deleted() {},
  closedChanged() {},
  goneChanged() {},
  removed() {},
  rightsChanged() {},
  crowdChanged() {},
  lineClosed() {},
};

/** Resolves to whether all of them were left; the entries are of one service and one website. */
export async function leaveRooms(entries: readonly LedgerEntry[]): Promise<boolean> {
  const [first] = entries;
  if (!first) return true;
  const chat = await newChat(accessFor(first), NOBODY).catch(() => null);
  if (!chat) return false;
  try {
    await chat.start();
    for (const entry of entries) {
      // This takes time: by now a tab, perhaps this one, may show the room again.
      if (!(await isShown(entry))) await chat.leave(entry.chatroomId);
    }
    return true;
  } catch {
    return false;
  } finally {
    chat.depart(false);
  }
}

function accessFor(entry: LedgerEntry): Access {
  const { sdk, apiUrl, websiteId, chatroomId } = entry;
  const visitor = { id: null, name: null, isManager: false, isSignedIn: false, isPersistent: false };
  const room = {
    mode: "hosted",
    sdk,
    isClosed: false,
    isPrivate: false,
    websiteId,
    apiUrl,
    chatroomId,
  } as const;
  return { ...room, ticket: null, visitor, limits: {} };
}
