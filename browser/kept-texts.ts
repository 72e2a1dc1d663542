/**
 * What readers have written and not yet posted, kept in this browser: one draft for each chatroom, and each comment
 * that could not be sent.
 *
 * A comment belongs to the tab that holds its lock. The browser frees that whatever happens to the tab, and then
 * another one, or the next page, may take the comment over.
 */

import { findLocks, findStorage, TEXT_PREFIX as PREFIX } from "./storage";

const MOST_TEXTS = 20;
const MOST_CHARS = 50_000;
/** Less than our hub knows a repeated comment by its key (30 days). */
const KEPT_MS = 28 * 24 * 3600 * 1000;

/** A comment that was posted and has not arrived, as far as anybody knows. */
export interface KeptComment {
  readonly clientKey: string;
  readonly text: string;
  /** The guest's name, when it has yet to be announced. */
  readonly name: string | null;
  readonly mayHaveArrived: boolean;
  /** Equal comments that were in the thread before: none of them is this one. */
  readonly twins: readonly string[];
}

interface Kept {
  /** Whose it is: nobody posts what another user of this browser has written. */
  readonly owner: string;
  readonly keptAt: number;
  readonly text: string;
}

export class KeptTexts {
  readonly #draftKey: string;
  readonly #unsentKey: string;
  readonly #owner: string;
  readonly #storage: Storage | null;
  readonly #locks: LockManager | null;
  readonly #releases = new Map<string, () => void>();
  #lastDraft = "";
  #isAway = false;

  /**
   * @param place The chatroom, by a name that no other one of this origin has.
   * @param owner Who is writing.
   */
  constructor(
    place: string,
    owner: string,
    storage: Storage | null = findStorage(),
    locks: LockManager | null = findLocks(),
  ) {
    this.#draftKey = `${PREFIX}draft:${place}`;
    this.#unsentKey = `${PREFIX}unsent:${place}:`;
    this.#owner = owner;
    this.#storage = storage;
    this.#locks = locks;
  }

  /** What was being written when a page of this chatroom was last left; empty if nothing was. */
  get draft(): string {
    this.#lastDraft = this.#read<Kept>(this.#draftKey)?.text ?? "";
    return this.#lastDraft;
  }

  /** Keep what is being written; what another tab has written meanwhile is not erased by an empty box. */
  set draft(text: string) {
    if (text === this.#lastDraft) return;
    if (text) this.#write(this.#draftKey, { text });
    else if (this.#read<Kept>(this.#draftKey)?.text === this.#lastDraft) this.#remove(this.#draftKey);
    this.#lastDraft = text;
  }

  /** Keep a comment that is on its way, or waits; it is this tab's. */
  keep(comment: KeptComment): void {
    const { clientKey, text, name, mayHaveArrived, twins } = comment;
    this.#write(this.#unsentKey + clientKey, { clientKey, text, name, mayHaveArrived, twins });
    if (!this.#isAway) void this.#claim(clientKey);
  }

  find(clientKey: string): KeptComment | null {
    return this.#read<KeptComment & Kept>(this.#unsentKey + clientKey);
  }

  /** Its fate is known, or it is given up. */
  drop(clientKey: string): void {
    this.#remove(this.#unsentKey + clientKey);
    this.release(clientKey);
  }

  /** Take over a comment that no tab holds; `null` if there is none. */
  async adopt(): Promise<KeptComment | null> {
    for (const key of this.#keys().filter((it) => it.startsWith(this.#unsentKey))) {
      const clientKey = key.slice(this.#unsentKey.length);
      if (this.#releases.has(clientKey) || !this.find(clientKey) || !(await this.#claim(clientKey))) continue;
      // Whoever had it may just have sent it.
      const comment = this.find(clientKey);
      if (comment) return comment;
      this.release(clientKey);
    }
    return null;
  }

  /** Others may take it over. */
  release(clientKey: string): void {
    this.#releases.get(clientKey)?.();
    this.#releases.delete(clientKey);
  }

  /** The page goes away, perhaps for a while: others may take over what it holds, until `reclaim`. */
  letGo(): void {
    this.#isAway = true;
    for (const clientKey of [...this.#releases.keys()]) this.release(clientKey);
  }

  /** The page is back: return which of its comments are not its own any more. */
  async reclaim(clientKeys: Iterable<string>): Promise<string[]> {
    this.#isAway = false;
    const lost: string[] = [];
    for (const key of this.#storage ? clientKeys : []) {
      if (!((await this.#claim(key)) && this.find(key))) lost.push(key);
    }
    return lost;
  }

  /** Without locks (plain http) everybody gets it: our hub knows a repetition, and elsewhere the reader is asked. */
  async #claim(clientKey: string): Promise<boolean> {
    const locks = this.#locks;
    if (!locks || this.#releases.has(clientKey)) return true;
    let release = () => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#releases.set(clientKey, release);
    const name = `chatix-unsent:${clientKey}`;
    const isGranted = await new Promise<boolean>((answer) => {
      const request = locks.request(name, { mode: "exclusive", ifAvailable: true }, (lock) => {
        answer(lock !== null);
        return lock === null ? undefined : until;
      });
      // Refused in some frames and profiles, as if there were no locks.
      request.catch(() => answer(true));
    });
    if (!isGranted && this.#releases.get(clientKey) === release) this.#releases.delete(clientKey);
    return isGranted;
  }

  #read<T extends { text: string }>(key: string): T | null {
    return this.#attempt((storage) => {
      const kept = JSON.parse(storage.getItem(key) ?? "null");
      const isOurs = kept?.owner === this.#owner && typeof kept.text === "string";
      return isOurs && Date.now() - kept.keptAt < KEPT_MS ? kept : null;
    });
  }

  #write(key: string, value: Pick<Kept, "text"> | KeptComment): void {
    const kept = { ...value, owner: this.#owner, keptAt: Date.now() };
    // Of what is too long, what stood there before is not true any more either.
    if (value.text.length > MOST_CHARS) this.#remove(key);
    else this.#attempt((storage) => storage.setItem(key, JSON.stringify(kept)));
    this.#prune();
  }

  #remove(key: string): void {
    this.#attempt((storage) => storage.removeItem(key));
  }

  /** The oldest go. */
  #prune(): void {
    const keys = this.#keys();
    if (keys.length <= MOST_TEXTS) return;
    const age = (key: string) => this.#attempt((it) => JSON.parse(it.getItem(key) ?? "").keptAt) ?? 0;
    const byAge = keys.map((key) => ({ key, keptAt: Number(age(key)) })).sort((a, b) => b.keptAt - a.keptAt);
    for (const { key } of byAge.slice(MOST_TEXTS)) this.#remove(key);
  }

  #keys(): string[] {
    const all = this.#attempt((it) => Array.from({ length: it.length }, (_, index) => it.key(index) ?? ""));
    return (all ?? []).filter((key) => key.startsWith(PREFIX));
  }

  /** Storage may be full, forbidden, or hold what we have not written: then nothing is kept. */
  #attempt<T>(action: (storage: Storage) => T): T | null {
    try {
      return this.#storage && action(this.#storage);
    } catch {
      return null;
    }
  }
}
