/**
 * What is posted but not yet acknowledged: the text of a comment, then its files, one after the other.
 *
 * Each is a message of its own, with one client key for all its attempts, those after it came back to its author
 * included, so that what was stored while its acknowledgement got lost is not stored again.
 */

import { newKey } from "./keys";

/** What the reader posted. */
export interface Draft {
  /** Empty where there are files only. */
  readonly text: string;
  readonly files: readonly File[];
  /** Whether only managers may see it; such a draft has no files. */
  readonly isWhisper: boolean;
  /** The guest's name, when it has to be announced first; `null` when the site knows it. */
  readonly name: string | null;
}

/** One message of a draft: its text, or one of its files. */
export interface Pending extends Omit<Draft, "files"> {
  readonly file: File | null;
  readonly clientKey: string;
  /** Whether some attempt may have reached the service. */
  readonly mayHaveArrived: boolean;
}

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: "acknowledged" }
  /** The line broke or was not there; the message waits for the next one. */
  | { readonly kind: "interrupted"; readonly mayHaveArrived: boolean }
  /** Asking again would not help; the reader gets it back, and the reason. */
  | {
      readonly kind: "refused";
      readonly error: unknown;
      /** Whether the reason holds for this message alone, so that others may follow. */
      readonly isOfItsOwn: boolean;
    };

/**
 * Tries once to deliver; never rejects.
 *
 * When the signal comes, the message must not be posted any more, and nobody asks how the attempt ended: only that.
 */
export type Attempt = (pending: Pending, signal: AbortSignal) => Promise<Outcome>;

export interface OutboxState {
  readonly kind: "empty" | "sending" | "waiting";
  /** The first is the one that is sent, or waits. */
  readonly items: readonly Pending[];
}

export interface OutboxListener {
  changed(state: OutboxState): void;
  /** It is in the thread: the page need not keep it any longer. */
  acknowledged(item: Pending): void;
  /** It will not be tried again, unless the reader posts it again. */
  refused(item: Pending, error: unknown): void;
}

export class Outbox {
  #items: readonly Pending[] = [];
  /** What is being delivered, or comes to its end because it is not to be delivered any more. */
  #running: { readonly item: Pending; readonly ending: AbortController } | null = null;
  /** What came back: posted again as it is, it is the same message, which may have been stored. */
  #returned: readonly Pending[] = [];
  readonly #attempt: Attempt;
  readonly #listener: OutboxListener;

  constructor(attempt: Attempt, listener: OutboxListener) {
    this.#attempt = attempt;
    this.#listener = listener;
  }

  get #state(): OutboxState {
    const kind = this.#items.length === 0 ? "empty" : this.#running ? "sending" : "waiting";
    return { kind, items: this.#items };
  }

  /** All that is under way; the first comes next, or is being delivered. */
  get items(): readonly Pending[] {
    return this.#items;
  }

  /** What comes next, if nobody is trying to deliver it just now. */
  get waiting(): Pending | null {
    return this.#running ? null : (this.#items[0] ?? null);
  }

  /** Take a comment in and try to deliver it; ignored while another one is under way. */
  async submit(draft: Draft): Promise<void> {
    if (this.#items.length > 0) return;
    this.#items = itemsOf(draft).map((item) => this.#known(item));
    this.#returned = [];
    await this.#sendAll();
  }

  /** Take in what was posted on another page and has not arrived there, as far as anybody knows; it waits. */
  adopt(item: Pending): void {
    this.#items = [...this.#items, item];
    this.#listener.changed(this.#state);
  }

  /** The line is back: try again what is waiting. */
  async retry(): Promise<void> {
    if (this.waiting) await this.#sendAll();
  }

  /** The first one was found in the thread: its acknowledgement had got lost. */
  async acknowledge(): Promise<void> {
    await this.#settleFirst({ kind: "acknowledged" });
  }

  /**
   * Stop trying to deliver the first one, and give it back to the reader.
   *
   * @param isOfItsOwn Whether to go on with those that follow; they are given back as well if not.
   */
  async giveBack(error: unknown, isOfItsOwn = false): Promise<void> {
    await this.#settleFirst({ kind: "refused", error, isOfItsOwn });
  }

  /** The reader does not want this file to be posted. */
  withdraw(file: File): void {
    this.#withdraw((item) => item.file === file);
  }

  /** Somebody else delivers this one. */
  withdrawItem(unwanted: Pending): void {
    this.#withdraw((item) => item === unwanted);
  }

  /** The reader is no manager any more. */
  withdrawWhispers(): void {
    this.#returned = this.#returned.filter((item) => !item.isWhisper);
    this.#withdraw((item) => item.isWhisper);
  }

  #withdraw(isUnwanted: (item: Pending) => boolean): void {
    this.#items = this.#items.filter((item) => !isUnwanted(item));
    if (this.#running && isUnwanted(this.#running.item)) this.#running.ending.abort();
    this.#listener.changed(this.#state);
  }

  async #settleFirst(outcome: Outcome): Promise<void> {
    const [item] = this.#items;
    if (!item) return;
    if (this.#running?.item === item) this.#running.ending.abort();
    this.#settle(item, outcome);
    await this.#sendAll();
  }

  /** One at a time: what nobody wants any more comes to its end, too, before the next one begins. */
  async #sendAll(): Promise<void> {
    if (this.#running) {
      this.#listener.changed(this.#state);
      return;
    }
    for (;;) {
      const [item] = this.#items;
      const ending = new AbortController();
      this.#running = item ? { item, ending } : null;
      this.#listener.changed(this.#state);
      if (!item) return;
      const outcome = await this.#attempt(item, ending.signal);
      this.#running = null;
      if (ending.signal.aborted) continue;
      this.#settle(item, outcome);
      if (outcome.kind === "interrupted") return;
    }
  }

  #settle(item: Pending, outcome: Outcome): void {
    const [, ...rest] = this.#items;
    switch (outcome.kind) {
      case "acknowledged":
        this.#items = rest;
        this.#listener.acknowledged(item);
        break;
      case "refused":
        this.#items = outcome.isOfItsOwn ? rest : [];
        this.#returned = [...this.#returned, item];
        this.#listener.refused(item, outcome.error);
        break;
      case "interrupted": {
        const mayHaveArrived = item.mayHaveArrived || outcome.mayHaveArrived;
        this.#items = [{ ...item, mayHaveArrived }, ...rest];
        this.#listener.changed(this.#state);
      }
    }
  }

  #known(item: Pending): Pending {
    const known = this.#returned.find(
      ({ text, file, isWhisper }) => text === item.text && file === item.file && isWhisper === item.isWhisper,
    );
    return known ? { ...item, clientKey: known.clientKey, mayHaveArrived: known.mayHaveArrived } : item;
  }
}

function itemsOf({ files, ...draft }: Draft): Pending[] {
  const item = (file: File | null): Pending => ({
    ...draft,
    text: file ? "" : draft.text,
    file,
    clientKey: newKey(),
    mayHaveArrived: false,
  });
  return [...(draft.text ? [item(null)] : []), ...files.map(item)];
}
