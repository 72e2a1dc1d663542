/** Leave the rooms that a crash or a closed laptop left behind; runs on every page that has the script. */

import { loadSection } from "./load-section";
import { eraseEntry, findLeftBehind, type StoredEntry } from "./room-ledger";
import { sendLeaves } from "./site";

/** A section that wants to join waits for this for a while, so that its join comes after the leaves. */
export let sweeping: Promise<void> = Promise.resolve();

/** What one page does; the next one goes on. */
const MOST_AT_ONCE = 100;
/** A site that is slow gets some of them done at least. */
const MOST_IN_A_REQUEST = 20;

export function startSweep(): void {
  sweeping = sweep().catch(() => {
    // The entries are still there: the next page tries again.
  });
}

async function sweep(): Promise<void> {
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
    const hasLeft = first.isBySite ? await leaveBySite(first.endpoint, part) : await leaveBySdk(part);
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

/** A visitor of the hosted service whom the site does not know: only the visitor's own connection can leave. */
async function leaveBySdk(entries: StoredEntry[]): Promise<boolean> {
  const section = await loadSection();
  return section.leaveRooms(entries);
}
