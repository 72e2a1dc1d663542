/** Equips each comment of a thread with what its reader may do with it, and takes that away when the time is over. */

import { type Changer, CommentActions } from "./comment-actions";
import { changeableForMs, isOwn, type Viewer } from "./comment-rights";
import type { ThreadMessage } from "./thread-state";
import { writingStrings as strings } from "./writing-strings";

const QUOTED_CHARS = 40;
/** Browsers take a longer time for none. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Entry {
  readonly article: HTMLElement;
  message: ThreadMessage;
  actions: CommentActions | null;
}

export class CommentTools {
  readonly #entries = new Map<string, Entry>();
  readonly #changer: Changer;
  #viewer: Viewer | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(changer: Changer) {
    this.#changer = changer;
  }

  /** Say for whom: all comments get what this viewer may do, at once. */
  set viewer(viewer: Viewer) {
    this.#viewer = viewer;
    this.refresh();
  }

  /** A comment is shown, or shown anew because it has changed. */
  attach(article: HTMLElement, message: ThreadMessage): void {
    const known = this.#entries.get(message.id);
    if (known) known.message = message;
    this.#equip(known ?? this.#add(article, message));
    this.#wait();
  }

  /** A comment has gone; return whether its article has to stay, for what is being typed there. */
  detach(id: string): boolean {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    const mayStay = entry !== undefined && !(entry.message.isWhisper && !this.#viewer?.isManager);
    if (!mayStay || !entry.actions?.isEditing) return false;
    entry.actions.orphan();
    return true;
  }

  /** Give and take what the viewer may do now. */
  refresh(): void {
    for (const entry of this.#entries.values()) this.#equip(entry);
    this.#wait();
  }

  /** The line is back: try again what it broke off. */
  resume(): void {
    for (const { actions } of this.#entries.values()) actions?.resume();
  }

  /** Let go of the clock; `refresh` takes it up again. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #add(article: HTMLElement, message: ThreadMessage): Entry {
    const entry: Entry = { article, message, actions: null };
    this.#entries.set(message.id, entry);
    return entry;
  }

  #equip(entry: Entry): void {
    const { article, message } = entry;
    const viewer = this.#viewer;
    if (viewer && changeableForMs(message, viewer) > 0) {
      entry.actions ??= new CommentActions(article, message, this.#changer);
      entry.actions.update(message, labelOf(message, viewer), viewer.messageChars);
    } else if (viewer && isOwn(message, viewer)) {
      entry.actions?.expire();
    } else {
      entry.actions?.dispose();
      entry.actions = null;
    }
  }

  /** Look again when the first time is over. */
  #wait(): void {
    clearTimeout(this.#timer);
    const viewer = this.#viewer;
    if (!viewer) return;
    const times = [...this.#entries.values()].map(({ message }) => changeableForMs(message, viewer));
    const next = Math.min(...times.filter((ms) => ms > 0));
    if (next !== Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.refresh(), Math.min(next + 1, LONGEST_TIMER_MS));
  }
}

/** Say which comment, for those who hear only the button. */
function labelOf(message: ThreadMessage, viewer: Viewer): string {
  const whose = isOwn(message, viewer) ? strings.yourComment : strings.commentOf(message.senderName);
  const characters = [...message.text.replace(/\s+/g, " ")];
  const isCut = characters.length > QUOTED_CHARS;
  const words = characters.slice(0, QUOTED_CHARS).join("") + (isCut ? "…" : "");
  return words ? `${whose}: “${words}”` : whose;
}
