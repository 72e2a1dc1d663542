/** Follow a link to one comment: page back until it is there, and show which one it is. */

import { focusQuietly } from "./dom";

const HASH = /^#comment-(.+)$/;
/** So far back, and no farther: the address may name a comment that is gone, or one of another section. */
const MOST_PAGES = 20;

/** What a permalink needs of the thread. */
export interface Thread {
  articleOf(id: string): HTMLElement | undefined;
  readonly hasOlder: boolean;
  /** Fetch the page before the oldest comment, and show it. */
  loadEarlier(): Promise<void>;
}

/** Return the id of the comment that the page's address names; `null` if it names none. */
export function linkedId(hash: string = location.hash): string | null {
  const id = HASH.exec(hash)?.[1];
  try {
    return id ? decodeURIComponent(id) : null;
  } catch {
    return null;
  }
}

export class Permalink {
  readonly #thread: Thread;
  #followed: string | null = null;
  #marked: HTMLElement | null = null;
  #isUnderWay = false;

  constructor(thread: Thread) {
    this.#thread = thread;
  }

  /** The address has changed: to be followed again, even if it names the same comment. */
  renew(): void {
    this.#followed = null;
  }

  /** Go where the address leads, once; what the line breaks off is taken up by the next call. */
  async follow(): Promise<void> {
    const id = linkedId();
    if (id === null || id === this.#followed || this.#isUnderWay) return;
    this.#isUnderWay = true;
    try {
      await this.#pageBackTo(id);
      this.#followed = id;
    } catch {
      return;
    } finally {
      this.#isUnderWay = false;
    }
    const article = this.#thread.articleOf(id);
    if (article) this.#show(article);
  }

  async #pageBackTo(id: string): Promise<void> {
    for (let page = 0; page < MOST_PAGES; page += 1) {
      if (this.#thread.articleOf(id) || !this.#thread.hasOlder) return;
      await this.#thread.loadEarlier();
    }
  }

  #show(article: HTMLElement): void {
    this.#marked?.classList.remove("chatix-linked");
    article.classList.add("chatix-linked");
    this.#marked = article;
    article.scrollIntoView({ block: "center" });
    // Who is somewhere already with the keyboard stays there.
    if (document.activeElement === null || document.activeElement === document.body) focusQuietly(article);
  }
}
