/** What earlier pages left behind is left: rooms that no tab shows. A part of its own, since there rarely are any. */

import { leaveRooms } from "./leave-rooms";
import { eraseEntry, findLeftBehind, type StoredEntry } from "./room-ledger";
import { isFinal, type Leave, leavesBody, post } from "./site";

/** What one page does; the next one goes on. */
const MOST_AT_ONCE = 100;
/** A site that is slow gets some of them done at least. */
const MOST_IN_A_REQUEST = 20;
/** A section that wants to open may be waiting for these. */
const LEAVES_TIMEOUT_MS = 5_000;

export async function leaveLeftBehind(): Promise<void> {
  const left = (await findLeftBehind()).slice(0, MOST_AT_ONCE);
  await Promise.all(byWay(left).map(leaveAll));
}

/** Group entries that can be left by one request or one connection. */
function byWay(entries: StoredEntry[]): StoredEntry[][] {
  const groups = new Map<string, StoredEntry[]>();
  for (const entry of entries) {
    const way = [entry.mode, entry.isBySite, entry.sdk, entry.endpoint, entry.apiUrl, entry.websiteId].join(
      " ",
    );
    groups.set(way, [...(groups.get(way) ?? []), entry]);
  }
  return [...groups.values()];
}

async function leaveAll(entries: StoredEntry[]): Promise<void> {
  const [first] = entries;
  if (!first) return;
  const size = first.isBySite ? MOST_IN_A_REQUEST : entries.length;
  for (let start = 0; start < entries.length; start += size) {
    const part = entries.slice(start, start + size);
    // Whom the site does not know is taken out by a connection of the visitor's own.
    const hasLeft = first.isBySite ? await leaveBySite(first.endpoint, part) : await leaveRooms(part);
    if (!hasLeft) return;
    for (const entry of part) eraseEntry(entry);
  }
}

/** The site knows who asks by its cookies, and asks the hub. */
function leaveBySite(endpoint: string, entries: StoredEntry[]): Promise<boolean> {
  const leaves = entries.flatMap(({ mode, chatroomId, connectionId }) =>
    connectionId || mode === "hosted" ? { chatroomId, connectionId } : [],
  );
  return sendLeaves(endpoint, leaves);
}

/** Tell the site which rooms are no longer shown; resolves to false if that should be tried again. */
export async function sendLeaves(endpoint: string, leaves: readonly Leave[]): Promise<boolean> {
  const isDone = (answer: Response) => answer.ok || isFinal(answer.status);
  const options = { timeoutMs: LEAVES_TIMEOUT_MS, keepalive: true };
  return post(`${endpoint}/leave`, leavesBody(null, leaves), isDone, options);
}
