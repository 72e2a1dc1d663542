/**
 * `<chatix-comments data-post="TOKEN" data-endpoint="/chatix-comments" [data-closed]>`: the shell.
 *
 * It loads the section when it comes near the viewport, and says when the page or the element goes away and
 * comes back. Everything else is the section's.
 */

import { make } from "./dom";
import { entryStrings } from "./i18n";
import { loadSection } from "./load-section";
import { loadStyle, styleLoader } from "./load-style";
import type { Section } from "./section";
import { sweeping } from "./sweep";

/** How far from the viewport "near" is. */
const NEAR = "400px";
const LONGEST_SWEEP_MS = 3000;

export class CommentsElement extends HTMLElement {
  #section: Section | null = null;
  #observer: IntersectionObserver | null = null;
  #trouble: HTMLElement | null = null;
  /** While the element is on a page; asynchronous steps look whether it still is. */
  #stay: AbortController | null = null;
  #isWanted = false;

  connectedCallback(): void {
    // What Turbo shows of a page until the page is there is a copy, which goes again.
    if (this.#stay || document.querySelector("[data-turbo-preview]")) return;
    this.#stay = new AbortController();
    const { signal } = this.#stay;
    const depart = () => this.#section?.depart();
    const start = () => this.#section?.start();
    addEventListener("pagehide", depart, { signal });
    document.addEventListener("freeze", depart, { signal });
    document.addEventListener("resume", start, { signal });
    // A first `pageshow` is not a return; only a page from the back-forward cache is persisted.
    addEventListener("pageshow", ({ persisted }) => persisted && start(), { signal });
    this.#watch();
    // A link to a comment is wanted wherever the section is: the comment may be one that has yet to come.
    if (location.hash.startsWith("#comment-")) this.#reach();
  }

  disconnectedCallback(): void {
    // An element that is only moved is disconnected and connected in one go: look again afterwards.
    queueMicrotask(() => {
      if (this.#stay && !this.isConnected) this.#deactivate(this.#stay);
    });
  }

  #deactivate(stay: AbortController): void {
    stay.abort();
    this.#stay = null;
    this.#isWanted = false;
    this.#observer?.disconnect();
    this.#section?.close();
  }

  #watch(): void {
    this.#observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) this.#reach();
      },
      { rootMargin: NEAR },
    );
    this.#observer.observe(this);
  }

  /** The section has come near: a reader may want it. */
  #reach(): void {
    this.#observer?.disconnect();
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#open().catch(() => this.#showTrouble());
  }

  async #open(): Promise<void> {
    // In this order if possible; but nobody waits long for rooms that were left some other day.
    await Promise.race([sweeping, new Promise((resolve) => setTimeout(resolve, LONGEST_SWEEP_MS))]);
    const [{ openSection }] = await Promise.all([loadSection(), loadStyle()]);
    if (!this.#stay) return;
    this.#trouble?.remove();
    this.#section ??= openSection(this, styleLoader);
    this.#section.start();
  }

  #showTrouble(): void {
    if (!this.#stay) return;
    const button = make("button", { class: "chatix-retry", type: "button" }, entryStrings.tryAgain);
    const message = make("p", { class: "chatix-error", role: "alert" }, entryStrings.cannotLoad);
    this.#trouble?.remove();
    this.#trouble = make("div", { class: "chatix-trouble" }, message, button);
    this.querySelector(".chatix-note")?.toggleAttribute("hidden", true);
    (this.querySelector("section") ?? this).append(this.#trouble);
    button.addEventListener("click", () => {
      button.disabled = true;
      this.#open().catch(() => this.#showTrouble());
    });
  }
}
