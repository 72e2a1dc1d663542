/** Keep the thread's state in step with the service: the first page, earlier ones, and what an outage hid. */

import type { Chat } from "./sdk/chat";
import type { Cursor } from "./sdk/wire";
import { type ThreadMessage, ThreadState } from "./thread-state";

export class ThreadSync {
  #state = new ThreadState();
  #hasLoaded = false;
  #cursor: Cursor | null = null;
  /** How many comments there are, as the service has said it last, and kept since; `null` where it does not say. */
  #total: number | null = null;

  get state(): ThreadState {
    return this.#state;
  }

  /** Whether there is a thread to show, be it an empty one. */
  get hasLoaded(): boolean {
    return this.#hasLoaded;
  }

  /** How many comments there are; `null` as long as nobody knows. */
  get total(): number | null {
    const { messages, hasOlder } = this.#state;
    return hasOlder ? this.#total : messages.filter(isPublic).length;
  }

  /** Somebody has posted this. */
  add(message: ThreadMessage): void {
    if (this.#total !== null && isPublic(message) && !this.#state.has(message.id)) this.#total += 1;
    this.#state.add(message);
  }

  remove(id: string): void {
    const known = this.#state.find(id);
    // One of a page that is not loaded may have been a whisper: who can see those is told better at the next catch-up.
    if (this.#total !== null && (known ? isPublic(known) : !this.#state.isDeleted(id))) this.#total -= 1;
    this.#state.remove(id);
  }

  /** The post has another chatroom than before: what is known belongs to the old one. */
  forget(): void {
    this.#state = new ThreadState();
    this.#hasLoaded = false;
    this.#cursor = null;
    this.#total = null;
  }

  /** Fetch the newest page, or whatever is missing since it was fetched. */
  async catchUp(chat: Chat, pageSize: number): Promise<void> {
    if (!this.#hasLoaded) await this.#loadNewest(chat, pageSize);
    else if (chat.isGapProof) await this.#applyChanges(chat);
    else await chat.fillGaps(this.#state);
  }

  /** Fetch the newest page in place of all that is known. */
  async reload(chat: Chat, pageSize: number): Promise<void> {
    this.forget();
    await this.#loadNewest(chat, pageSize);
  }

  /** Fetch the page before the oldest known message. */
  async loadEarlier(chat: Chat, pageSize: number): Promise<void> {
    await this.#loadPage(chat, this.#state.oldestId, pageSize);
  }

  async #loadNewest(chat: Chat, pageSize: number): Promise<void> {
    const state = this.#state;
    const cursor = await this.#loadPage(chat, null, pageSize);
    if (state !== this.#state) return;
    this.#cursor = cursor;
    this.#hasLoaded = true;
  }

  /**
   * One more than is shown tells whether there are others before; the SDK allows 100 (connection.js). Our hub
   * says so, too, since it sends fewer where they are large.
   */
  async #loadPage(chat: Chat, beforeId: string | null, pageSize: number): Promise<Cursor | null> {
    const size = Math.min(pageSize, 99);
    const state = this.#state;
    const { messages, cursor, hasMore, total } = await chat.history(beforeId, size + 1);
    // If the thread was forgotten meanwhile, this goes where it belongs: with it.
    if (state === this.#state) this.#total = total ?? null;
    state.addPage(messages.slice(-size), messages.length > size || hasMore === true);
    return cursor;
  }

  async #applyChanges(chat: Chat): Promise<void> {
    const state = this.#state;
    for (;;) {
      const { changes, cursor, hasMore, total } = await chat.changes(this.#cursor);
      // Forgotten meanwhile: this is of another thread than what is known now.
      if (state !== this.#state) return;
      // A service that says "more" without getting on would be asked for ever.
      const getsOn = JSON.stringify(cursor) !== JSON.stringify(this.#cursor);
      state.applyChanges(changes);
      this.#total = total ?? null;
      this.#cursor = cursor;
      if (!hasMore || !getsOn) return;
    }
  }
}

const isPublic = ({ isWhisper }: ThreadMessage): boolean => !isWhisper;
