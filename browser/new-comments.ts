/** The button that tells of comments which have come where the reader does not look, and leads there. */

import { aidStrings as strings } from "./aid-strings";
import { focusQuietly, make } from "./dom";
import { isOnScreen } from "./reading-place";
import type { ThreadMessage } from "./thread-state";

export class NewComments {
  readonly element = make("div", { class: "chatix-new", hidden: true });
  readonly #button = make("button", { class: "chatix-new-button", type: "button", dir: "auto" });
  readonly #articleOf: (id: string) => HTMLElement | undefined;
  readonly #unseen = new Map<string, HTMLElement>();
  readonly #observer: IntersectionObserver;
  #known: ReadonlySet<string> | null;

  /** @param known What the reader has seen so far; `null` if nothing yet is news. */
  constructor(articleOf: (id: string) => HTMLElement | undefined, known: ReadonlySet<string> | null = null) {
    this.#articleOf = articleOf;
    this.#known = known;
    this.element.append(this.#button);
    this.#button.addEventListener("click", () => this.#goThere());
    this.#observer = new IntersectionObserver((entries) => this.#onSeen(entries));
  }

  /** The thread on the page is this one now. What came behind all that was known is new. */
  note(messages: readonly ThreadMessage[], selfId: string | null): void {
    const known = this.#known;
    this.#known = new Set(messages.map(({ id }) => id));
    for (const id of this.#unseen.keys()) if (!this.#known.has(id)) this.#forget(id);
    if (known) {
      let next = messages.length;
      while (next > 0 && !known.has(messages[next - 1]?.id ?? "")) next -= 1;
      for (const { id, senderId } of messages.slice(next)) if (senderId !== selfId) this.#add(id);
    }
    this.#show();
  }

  /** What comes next is a thread that the reader has not seen yet: nothing in it is news. */
  reset(): void {
    this.#known = null;
    for (const id of this.#unseen.keys()) this.#forget(id);
    this.#show();
  }

  #add(id: string): void {
    const article = this.#articleOf(id);
    if (!article || isOnScreen(article)) return;
    this.#unseen.set(id, article);
    this.#observer.observe(article);
  }

  #onSeen(entries: readonly IntersectionObserverEntry[]): void {
    const seen = new Set(entries.filter((it) => it.isIntersecting).map(({ target }) => target));
    for (const [id, article] of this.#unseen) if (seen.has(article)) this.#forget(id);
    this.#show();
  }

  #forget(id: string): void {
    const article = this.#unseen.get(id);
    if (article) this.#observer.unobserve(article);
    this.#unseen.delete(id);
  }

  #show(): void {
    const count = this.#unseen.size;
    const hadFocus = this.#button === document.activeElement;
    if (count) this.#button.textContent = strings.newComments(count);
    this.element.hidden = count === 0;
    // The keyboard goes on where the reader has got to.
    if (hadFocus && !count) focusQuietly(this.#articleOf([...(this.#known ?? [])].at(-1) ?? "") ?? null);
  }

  #goThere(): void {
    const [first] = this.#unseen.values();
    first?.scrollIntoView({ block: "center" });
    focusQuietly(first ?? null);
  }
}
