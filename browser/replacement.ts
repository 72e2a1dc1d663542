/**
 * What the page's own scripts do to a section that runs: they "morph" it, which is to put the site's HTML in its place,
 * piece by piece.
 *
 * Turbo asks before, and can be told to leave it alone. Others do not: what they have made is replaced as a whole, and
 * comes alive anew, with what was being written.
 */

/** The form of a section of which this is a copy. The one for those without JavaScript is in a `<noscript>`. */
export const FORMER_FORM = ":is(chatix-comments, .chatix-body) > .chatix-form";

type Morphing = Event & { readonly detail?: { readonly newElement?: HTMLElement } };

export class Replacement {
  readonly #host: HTMLElement;
  readonly #form: HTMLElement;
  readonly #observer = new MutationObserver(() => this.#look());

  /** @param form Is in the section for as long as nobody else has been at work there. */
  constructor(host: HTMLElement, form: HTMLElement) {
    this.#host = host;
    this.#form = form;
  }

  watch(): void {
    this.#observer.observe(this.#host, { childList: true, subtree: true });
    this.#host.addEventListener("turbo:before-morph-element", this.#onMorph);
  }

  stop(): void {
    this.#observer.disconnect();
    this.#host.removeEventListener("turbo:before-morph-element", this.#onMorph);
  }

  readonly #onMorph = (event: Morphing): void => {
    const isSamePost = event.detail?.newElement?.dataset.post === this.#host.dataset.post;
    if (event.target === this.#host && isSamePost) event.preventDefault();
  };

  #look(): void {
    if (!this.#host.isConnected || this.#host.contains(this.#form)) return;
    this.stop();
    this.#host.append(this.#form);
    this.#host.replaceWith(this.#host.cloneNode(true));
  }
}
