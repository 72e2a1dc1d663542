/** Has what is in the form, or on its way, kept in the browser, and brings it back on the next page. */

import type { Composer } from "./composer";
import { type KeptComment, KeptTexts } from "./kept-texts";
import type { OutboxState, Pending } from "./outbox";
import { type Access, placeOf, type Visitor } from "./site";

export interface Returns {
  /** A comment of an earlier page, or of a tab that is gone, is to be sent from here. */
  adopted(item: Pending, twins: readonly string[]): void;
  /** Another tab has taken this one over. */
  taken(clientKey: string): void;
}

export class TextKeeper {
  readonly #composer: Composer;
  readonly #returns: Returns;
  #texts: KeptTexts | null = null;
  #place = "";
  /** Nothing is kept of readers who have not taken part. */
  #mayKeep = false;
  #isBusy = false;
  #isRestoring = false;
  #own: ReadonlySet<string> = new Set();

  constructor(composer: Composer, returns: Returns) {
    this.#composer = composer;
    this.#returns = returns;
    composer.element.addEventListener("input", () => this.keepDraft());
  }

  /** Say where and by whom is written, and bring back what was. */
  open(access: Access, visitor: Visitor): void {
    const owner = visitor.isSignedIn ? `user:${visitor.id ?? visitor.name}` : "guest";
    const place = placeOf(access);
    this.#mayKeep ||= visitor.isPersistent;
    if (this.#place !== place + owner) {
      this.#texts?.letGo();
      this.#texts = new KeptTexts(place, owner);
      this.#place = place + owner;
    }
    void this.restore();
  }

  /** Bring back what waits, and then what was being written, if there is room for it in the form. */
  async restore(): Promise<void> {
    const texts = this.#texts;
    if (!texts || this.#isRestoring || !this.#isFree) return;
    this.#isRestoring = true;
    const comment = await texts.adopt();
    this.#isRestoring = false;
    if (comment) this.#adopt(texts, comment);
    else if (this.#isFree && this.#mayKeep) this.#composer.fill(texts.draft);
  }

  get #isFree(): boolean {
    return !this.#isBusy && !this.#composer.hasContent;
  }

  #adopt(texts: KeptTexts, comment: KeptComment): void {
    // Somebody has begun to write meanwhile: it has to wait for its turn.
    const { clientKey, text, name, mayHaveArrived, twins } = comment;
    if (!this.#isFree || this.#texts !== texts) {
      texts.release(clientKey);
      return;
    }
    this.#composer.fill(text);
    this.#returns.adopted({ clientKey, text, name, mayHaveArrived, file: null, isWhisper: false }, twins);
  }

  /** Follow the outbox: what is in it is kept, what is in it no longer is forgotten. */
  follow({ kind, items }: OutboxState): void {
    const texts = this.#texts;
    this.#isBusy = kind !== "empty";
    const kept = items.filter(isKept);
    const keys = new Set(kept.map(({ clientKey }) => clientKey));
    for (const key of this.#own) if (!keys.has(key)) texts?.drop(key);
    this.#own = keys;
    // What is being sent is noted by the attempt.
    if (kind === "waiting") for (const item of kept) this.#keep(item, item.mayHaveArrived);
    this.keepDraft();
    if (!this.#isBusy) void this.restore();
  }

  /** It may reach the service from now on, whatever becomes of the page. */
  attempting(item: Pending, twins: readonly string[]): void {
    this.#mayKeep = true;
    if (isKept(item)) this.#keep(item, true, twins);
  }

  #keep({ clientKey, text, name }: Pending, mayHaveArrived: boolean, twins?: readonly string[]): void {
    const known = twins ?? this.#texts?.find(clientKey)?.twins ?? [];
    this.#texts?.keep({ clientKey, text, name, mayHaveArrived, twins: known });
  }

  /** The page goes away. */
  letGo(): void {
    this.#texts?.letGo();
  }

  /** The page is back: what another tab has taken over meanwhile is not ours any more. */
  async reclaim(): Promise<void> {
    for (const key of (await this.#texts?.reclaim(this.#own)) ?? []) this.#returns.taken(key);
  }

  /** Keep what is in the form now. */
  keepDraft(): void {
    const { texts, draft } = { texts: this.#texts, draft: this.#composer.draft };
    if (texts && this.#mayKeep) texts.draft = this.#isBusy ? "" : draft;
  }
}

/** Files cannot be kept, and what only managers may see is not left in a browser. */
const isKept = ({ file, isWhisper }: Pending): boolean => file === null && !isWhisper;
