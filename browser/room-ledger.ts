/**
 * Rooms that this browser has joined, and those that a tab still shows.
 *
 * An entry is written when a section has joined and erased when it leaves, so what lies there without a tab
 * that shows it was left behind by a crash or a closed laptop. Whether a tab shows a room is told by a Web
 * Lock, which the browser frees whatever happens to the tab; where there are no Web Locks (plain http), by a
 * heartbeat in the entry.
 *
 * Nothing is written for readers who have not taken part: the hub forgets them by itself.
 */

import { type SdkSource, sdkFrom } from "./site";
import { findLocks, findStorage, ROOM_PREFIX as PREFIX } from "./storage";

const HEARTBEAT_MS = 20_000;
/** Hidden tabs run timers about once a minute. */
const STALE_AFTER_MS = 180_000;

export interface LedgerEntry {
  readonly mode: "hub" | "hosted";
  readonly sdk: SdkSource;
  /** Where the site's views are, to send a leave to. */
  readonly endpoint: string;
  readonly apiUrl: string;
  readonly websiteId: string;
  readonly chatroomId: string;
  readonly connectionId: string | null;
  /** Whether the site can take the visitor out; else only the visitor's own connection can. */
  readonly isBySite: boolean;
}

export interface StoredEntry extends LedgerEntry {
  readonly key: string;
  /** The last heartbeat, milliseconds since 1970. */
  readonly seenAt: number;
}

const lockName = (entry: Pick<LedgerEntry, "websiteId" | "chatroomId">) =>
  `chatix:${entry.websiteId}:${entry.chatroomId}`;

/** What one section has in the ledger: at most one entry, and the lock that says "shown here". */
export class RoomLedger {
  readonly #storage: Storage | null;
  readonly #locks: LockManager | null;
  readonly #key: string;
  #entry: LedgerEntry | null = null;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #unlock: (() => void) | null = null;
  #locked: string | null = null;

  constructor(id: string, storage: Storage | null = findStorage(), locks: LockManager | null = findLocks()) {
    this.#key = PREFIX + id;
    this.#storage = storage;
    this.#locks = locks;
  }

  /** Show other tabs, from now on, that this room is shown here. Resolves when they can see it. */
  async hold(room: Pick<LedgerEntry, "websiteId" | "chatroomId">): Promise<void> {
    const name = lockName(room);
    if (this.#locked === name) return;
    this.#release();
    this.#locked = name;
    if (!this.#locks) return;
    const locks = this.#locks;
    await new Promise<void>((held) => {
      const until = new Promise<void>((resolve) => {
        this.#unlock = resolve;
      });
      const request = locks.request(name, { mode: "shared" }, () => {
        held();
        return until;
      });
      // Refused in some frames and profiles; the hub's grace time has to do then.
      request.catch(() => held());
    });
  }

  /** What is noted while this section is in the room. */
  get entry(): LedgerEntry | null {
    return this.#entry;
  }

  /** Note that this section has joined the room. */
  write(entry: LedgerEntry): void {
    this.#entry = entry;
    this.#beat();
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Note that the section has left. Everything happens at once: the page may be going away. */
  erase(): void {
    this.stop();
    this.#attempt((storage) => storage.removeItem(this.#key));
  }

  /** Note that it has not left after all, and that the next start has to see to it. */
  leaveBehind(entry: LedgerEntry): void {
    this.#store(entry);
  }

  /** Let go of lock and heartbeat, but leave the entry to the next start. */
  stop(): void {
    clearInterval(this.#heartbeat);
    this.#entry = null;
    this.#release();
  }

  /** Tell whether another section, here or in another tab, shows the room. Errs on the side of yes. */
  isShownElsewhere(room: Pick<LedgerEntry, "websiteId" | "chatroomId">): boolean {
    const name = lockName(room);
    return readEntries(this.#storage).some(
      (entry) => entry.key !== this.#key && lockName(entry) === name && isFresh(entry),
    );
  }

  #beat(): void {
    if (this.#entry) this.#store(this.#entry);
  }

  #store(entry: LedgerEntry): void {
    this.#attempt((storage) => storage.setItem(this.#key, JSON.stringify({ ...entry, seenAt: Date.now() })));
  }

  #release(): void {
    this.#unlock?.();
    this.#unlock = null;
    this.#locked = null;
  }

  /** Storage may be full or forbidden: then there is no ledger, and nothing else changes. */
  #attempt(action: (storage: Storage) => void): void {
    try {
      if (this.#storage) action(this.#storage);
    } catch {
      // The hub's grace time and the beacon remain.
    }
  }
}

const isFresh = (entry: StoredEntry) => Date.now() - entry.seenAt < STALE_AFTER_MS;

/** Return what was left behind: entries of rooms that no tab shows. */
export async function findLeftBehind(
  storage: Storage | null = findStorage(),
  locks: LockManager | null = findLocks(),
): Promise<StoredEntry[]> {
  const entries = readEntries(storage);
  if (!entries.length) return [];
  const shown = locks ? await shownRooms(locks) : null;
  return entries.filter((entry) => (shown ? !shown.has(lockName(entry)) : !isFresh(entry)));
}

/** Tell whether a tab shows the room by now; only where there are Web Locks can that be told. */
export async function isShown(
  room: Pick<LedgerEntry, "websiteId" | "chatroomId">,
  locks: LockManager | null = findLocks(),
): Promise<boolean> {
  const shown = locks && (await shownRooms(locks));
  return shown?.has(lockName(room)) ?? false;
}

async function shownRooms(locks: LockManager): Promise<Set<string | undefined> | null> {
  try {
    const { held = [], pending = [] } = await locks.query();
    return new Set([...held, ...pending].map((lock) => lock.name));
  } catch {
    return null;
  }
}

/** Erase an entry that was dealt with, unless its section has written it anew meanwhile. */
export function eraseEntry(entry: StoredEntry, storage: Storage | null = findStorage()): void {
  const current = storage && readEntry(storage, entry.key);
  if (current && current.seenAt === entry.seenAt) storage.removeItem(entry.key);
}

function readEntries(storage: Storage | null): StoredEntry[] {
  if (!storage) return [];
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index));
  return keys.flatMap((key) => (key?.startsWith(PREFIX) ? (readEntry(storage, key) ?? []) : []));
}

function readEntry(storage: Storage, key: string): StoredEntry | null {
  try {
    const data = JSON.parse(storage.getItem(key) ?? "");
    const isWhole = ["endpoint", "apiUrl", "websiteId", "chatroomId"].every(
      (name) => typeof data[name] === "string",
    );
    return isWhole
      ? {
          ...data,
          key,
          sdk: sdkFrom(data.sdk),
          isBySite: data.isBySite ?? data.mode === "hub",
          seenAt: Number(data.seenAt) || 0,
        }
      : null;
  } catch {
    return null;
  }
}
