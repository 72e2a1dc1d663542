/** Find out what has changed where the service has no list of changes: compare pages of history with what is known. */

import type { ThreadMessage, ThreadState } from "../thread-state";
import type { HistoryPage } from "./chat";

/** Pages that are compared before a gap is given up. */
const MOST_PAGES = 10;
const PAGE_SIZE = 50;

/** What gives pages of history, each before a message; `null` asks for the newest one. */
interface Source {
  history(beforeId: string | null, limit: number): Promise<HistoryPage>;
}

/** Bring a thread up to date. */
export async function comparePages(source: Source, state: ThreadState): Promise<void> {
  const before = new Set(state.messages.map((message) => message.id));
  let beforeId: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { messages } = await source.history(beforeId, PAGE_SIZE);
    if (reconcile(state, messages, before, messages.length === PAGE_SIZE)) return;
    beforeId = messages[0]?.id ?? null;
  }
  if (beforeId) state.forgetBefore(beforeId);
}

/**
 * Compare with one page: known messages that lie within it but are not on it have been deleted.
 *
 * @param before The ids that were known when the page was asked for; what came since is not judged.
 * @param hasOlder Whether there are messages before this page.
 * @returns Whether the page meets what was known; if not, there is a gap before it.
 */
export function reconcile(
  state: ThreadState,
  page: readonly ThreadMessage[],
  before: ReadonlySet<string>,
  hasOlder: boolean,
): boolean {
  const present = new Set(page.map((message) => message.id));
  const start = page[0]?.sentAt.getTime() ?? 0;
  for (const known of state.messages) {
    const isWithin = before.has(known.id) && (!hasOlder || known.sentAt.getTime() > start);
    if (isWithin && !present.has(known.id)) state.remove(known.id);
  }
  state.addPage(page, hasOlder && state.hasOlder);
  return !hasOlder || page.some((message) => before.has(message.id));
}
