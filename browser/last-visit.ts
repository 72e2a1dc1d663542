/** Mark where the comments begin that have come since this browser last showed the thread. */

import { make } from "./dom";
import { findStorage } from "./storage";
import type { ThreadMessage } from "./thread-state";

const NEW_SINCE = "New since your last visit";
const KEY = "chatix-comments:visits";
const MOST_PLACES = 100;

/** The last visit of each chatroom: milliseconds since 1970 of the newest comment there was. */
type Visits = Record<string, number>;

export class LastVisit {
  readonly #mark = make("p", { class: "chatix-since" }, NEW_SINCE);
  readonly #storage: Storage | null;
  #place: string | null = null;
  #until: number | null = null;
  #newest = 0;

  constructor(storage: Storage | null = findStorage()) {
    this.#storage = storage;
  }

  /** Say which thread it is; only for readers who are known again anyway. */
  open(place: string): void {
    if (this.#place === place) return;
    this.#place = place;
    this.#until = this.#read()[place] ?? null;
  }

  /** Put the mark at the first comment of others that is new to the reader; it stays for as long as the page does. */
  show(
    messages: readonly ThreadMessage[],
    selfId: string | null,
    articleOf: (id: string) => HTMLElement | undefined,
  ): void {
    this.#newest = messages.at(-1)?.sentAt.getTime() ?? 0;
    const until = this.#until;
    if (until === null) return;
    const first = messages.find((it) => it.sentAt.getTime() > until && it.senderId !== selfId);
    const article = first && articleOf(first.id);
    if (!article) this.#mark.remove();
    else if (this.#mark.parentElement !== article) article.prepend(this.#mark);
  }

  /** The visit ends. */
  close(): void {
    const place = this.#place;
    if (place === null || !this.#newest) return;
    const { [place]: _, ...others } = this.#read();
    const kept = Object.entries(others).slice(1 - MOST_PLACES);
    try {
      this.#storage?.setItem(KEY, JSON.stringify(Object.fromEntries([...kept, [place, this.#newest]])));
    } catch {
      // Full or forbidden: the next visit has no mark.
    }
  }

  #read(): Visits {
    try {
      const visits = JSON.parse(this.#storage?.getItem(KEY) ?? "{}");
      return typeof visits === "object" && visits !== null ? visits : {};
    } catch {
      return {};
    }
  }
}
