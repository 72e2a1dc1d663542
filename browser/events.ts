/** What a section tells the page it stands on; docs/templates.md names it. */

import type { ThreadMessage } from "./thread-state";

export type SectionEvent = "connected" | "disconnected" | "posted" | "received" | "updated" | "deleted";

/** Tells the page of something that has happened. */
export class PageNews {
  readonly #host: HTMLElement;
  readonly #articleOf: (id: string) => HTMLElement | undefined;
  #isConnected = false;

  constructor(host: HTMLElement, articleOf: (id: string) => HTMLElement | undefined) {
    this.#host = host;
    this.#articleOf = articleOf;
  }

  /** The line is there and nothing is missing, or is not: said once each time. */
  set isConnected(isConnected: boolean) {
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    this.#dispatch(isConnected ? "connected" : "disconnected", {});
  }

  /** A comment has come, or has changed; of whispers the page hears nothing. */
  tell(event: "posted" | "received" | "updated", { id, isWhisper }: ThreadMessage): void {
    if (!isWhisper) this.#dispatch(event, { id, article: this.#articleOf(id) ?? null });
  }

  tellDeleted(message: ThreadMessage | undefined): void {
    if (message && !message.isWhisper) this.#dispatch("deleted", { id: message.id });
  }

  #dispatch(event: SectionEvent, detail: object): void {
    this.#host.dispatchEvent(new CustomEvent(`chatix:${event}`, { bubbles: true, detail }));
  }
}
