/**
 * What is known of a thread: history pages, live messages, edits and deletions merged into one order.
 *
 * Pure: no DOM, no clock, no network.
 */

export interface ThreadMessage {
  readonly id: string;
  /** The number in its chatroom, from 1; 0 where the service has none. */
  readonly seq: number;
  readonly sentAt: Date;
  readonly editedAt: Date | null;
  readonly senderId: string;
  readonly senderName: string | null;
  readonly isFromManager: boolean;
  /** Whether only managers see it. */
  readonly isWhisper: boolean;
  readonly text: string;
  /** A message is either text or a file. */
  readonly file: SharedFile | null;
}

/** An image or another file, as the service gave it; its addresses are not yet checked. */
export interface SharedFile {
  readonly url: string;
  readonly isImage: boolean;
  /** The image, at most 300 pixels wide and high. */
  readonly thumbUrl: string | null;
  readonly name: string | null;
  readonly sizeBytes: number | null;
  /** Of the image itself, as it is seen. */
  readonly width: number | null;
  readonly height: number | null;
}

/** A change since some moment: a message as it is now, or the id of one that is gone. */
export type Change = { readonly message: ThreadMessage } | { readonly deletedId: string };

export class ThreadState {
  #messages: ThreadMessage[] = [];
  readonly #byId = new Map<string, ThreadMessage>();
  /** Deleted ids stay known, so that an answer which was under way does not bring a message back. */
  readonly #deleted = new Set<string>();
  /** Edits of messages that are on no page so far: one that is under way may bring an older version. */
  readonly #edits = new Map<string, ThreadMessage>();
  #hasOlder = false;
  #takesWhispers = true;

  /** All known messages, oldest first. */
  get messages(): readonly ThreadMessage[] {
    return this.#messages;
  }

  /** Whether there are messages before the first known one. */
  get hasOlder(): boolean {
    return this.#hasOlder;
  }

  get oldestId(): string | null {
    return this.#messages[0]?.id ?? null;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  find(id: string): ThreadMessage | undefined {
    return this.#byId.get(id);
  }

  isDeleted(id: string): boolean {
    return this.#deleted.has(id);
  }

  /**
   * Merge a page of history that ends just before the oldest known message, or at the newest one.
   *
   * @param hasOlder Whether there are messages before this page.
   */
  addPage(page: readonly ThreadMessage[], hasOlder: boolean): void {
    for (const message of page) this.#put(message);
    this.#hasOlder = hasOlder;
    this.#sort();
  }

  /** Merge what was sent just now, by others or by us. */
  add(message: ThreadMessage): void {
    this.#put(message);
    this.#sort();
  }

  /** Show an edit; an unknown message is one of a page that is not loaded, or not yet. */
  update(message: ThreadMessage): void {
    if (this.has(message.id)) this.add(message);
    else this.#noteEdit(message);
  }

  remove(id: string): void {
    this.#deleted.add(id);
    this.#edits.delete(id);
    if (this.#byId.delete(id)) this.#messages = this.#messages.filter((message) => message.id !== id);
  }

  /** The reader is no manager: whispers are gone, and those that are still under way do not come. */
  dropWhispers(): void {
    this.#takesWhispers = false;
    for (const { id, isWhisper } of this.#messages) if (isWhisper) this.#byId.delete(id);
    this.#messages = this.#messages.filter((message) => !message.isWhisper);
  }

  /** Merge what happened during an outage. Edits of pages that are not loaded are left to those pages. */
  applyChanges(changes: readonly Change[]): void {
    const oldest = this.#messages[0];
    for (const change of changes) {
      if ("deletedId" in change) this.remove(change.deletedId);
      else if (this.#isBefore(change.message, oldest)) this.#noteEdit(change.message);
      else this.#put(change.message);
    }
    this.#sort();
  }

  /** Let go of everything before this message, because of a gap that is too wide to fill. */
  forgetBefore(id: string): void {
    const index = this.#messages.findIndex((message) => message.id === id);
    if (index <= 0) return;
    for (const message of this.#messages.splice(0, index)) this.#byId.delete(message.id);
    this.#hasOlder = true;
  }

  #isBefore(message: ThreadMessage, oldest: ThreadMessage | undefined): boolean {
    const isKnown = this.has(message.id);
    return !isKnown && this.#hasOlder && oldest !== undefined && compare(message, oldest) < 0;
  }

  #noteEdit(message: ThreadMessage): void {
    const noted = this.#edits.get(message.id);
    if (message.editedAt && !(noted && isOlderVersion(message, noted))) this.#edits.set(message.id, message);
  }

  #put(given: ThreadMessage): void {
    if (this.#deleted.has(given.id) || (given.isWhisper && !this.#takesWhispers)) return;
    const edit = this.#edits.get(given.id);
    const message = edit && isOlderVersion(given, edit) ? edit : given;
    this.#edits.delete(given.id);
    const known = this.#byId.get(message.id);
    if (known && isOlderVersion(message, known)) return;
    if (known && isSame(known, message)) return;
    this.#byId.set(message.id, message);
    if (known) this.#messages[this.#messages.indexOf(known)] = message;
    else this.#messages.push(message);
  }

  #sort(): void {
    this.#messages.sort(compare);
  }
}

/**
 * `seq` decides where both have one; the sort is stable, so equal times keep the order of arrival. Whispers share
 * the number of the comment before them.
 */
function compare(a: ThreadMessage, b: ThreadMessage): number {
  const byNumber = a.seq && b.seq ? a.seq - b.seq || Number(a.isWhisper) - Number(b.isWhisper) : 0;
  return byNumber || a.sentAt.getTime() - b.sentAt.getTime();
}

function isOlderVersion(message: ThreadMessage, known: ThreadMessage): boolean {
  return (known.editedAt?.getTime() ?? 0) > (message.editedAt?.getTime() ?? 0);
}

function isSame(a: ThreadMessage, b: ThreadMessage): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
