/** What stands around the thread and the form: how the line is, what is wrong, and that nobody can write. */

import type { LineState } from "./connector";
import { make } from "./dom";
import { entryStrings, formatNumber, strings } from "./i18n";
import type { ThreadView } from "./thread-view";

/** What the site has put there, or another section, of which this is a copy. */
const OWN = ".chatix-note, .chatix-body, .chatix-status, .chatix-readers, .chatix-count";

export class SectionFrame {
  readonly #status = make("p", { class: "chatix-status", role: "status" });
  readonly #notice = make("p", { class: "chatix-notice", role: "alert", hidden: true });
  readonly #closedNote = make("p", { class: "chatix-note", hidden: true });
  readonly #count = make("span", { class: "chatix-count" });
  readonly #readers = make("p", { class: "chatix-readers", dir: "auto", hidden: true });
  /** Keeps the room of the form free until it is known what comes there. */
  readonly #place: Element | null;
  readonly region: HTMLElement;

  /** Take the place of what the site has put into the element; its comments come along. */
  constructor(host: HTMLElement, thread: ThreadView, form: HTMLElement) {
    host.querySelector("chatix-comments > .chatix-form")?.remove();
    this.region =
      host.querySelector("section") ??
      make("section", { class: "chatix-section", "aria-label": entryStrings.region });
    if (!this.region.isConnected) host.append(this.region);
    this.#place = this.region.querySelector(".chatix-place");
    const rendered = this.region.querySelector(".chatix-thread");
    if (rendered) thread.adopt(rendered);
    for (const old of this.region.querySelectorAll(OWN)) old.remove();
    form.hidden = true;
    const parts = [this.#notice, thread.element, this.#closedNote, form, this.#place ?? ""];
    const body = make("div", { class: "chatix-body" }, ...parts);
    this.region.append(this.#readers, this.#status, body);
  }

  /** The form is there, or is known not to come. */
  freePlace(): void {
    this.#place?.remove();
  }

  /** Tell how the line is; `null` where that is of no interest. */
  set state(state: LineState | null) {
    this.#status.textContent = state === null ? "" : strings[state];
    if (state === null) delete this.#status.dataset.state;
    else this.#status.dataset.state = state;
  }

  /** Where no chat is set up, the section says so once and does not look like one that tries to connect. */
  set isQuiet(isQuiet: boolean) {
    this.#status.hidden = isQuiet;
    this.#notice.setAttribute("role", isQuiet ? "note" : "alert");
  }

  /** Say what is wrong; `null` when nothing is. */
  set notice(text: string | null) {
    if (text !== null) this.#notice.textContent = text;
    this.#notice.hidden = text === null;
  }

  /** Say why nobody can write; `null` when everybody can. */
  set closedNote(text: string | null) {
    if (text !== null) this.#closedNote.textContent = text;
    this.#closedNote.hidden = text === null;
  }

  /** Say in the heading how many comments there are; `null` where nobody knows. The region's name stays. */
  set count(count: number | null) {
    this.#count.textContent = count ? ` ${formatNumber(count)}` : "";
    const heading = this.region.querySelector(".chatix-heading");
    if (this.#count.parentElement !== heading) heading?.append(this.#count);
  }

  /** Say how many are reading; to one alone there is nothing to say. */
  set readers(count: number) {
    this.#readers.textContent = strings.readers(count);
    this.#readers.hidden = count < 2;
  }
}
