/**
 * Where the reader writes: the form from the start, and what becomes of a comment once somebody touches the form.
 *
 * What was typed, chosen or posted until that is loaded stays in the form, and goes its way then.
 */

import { CommentForm } from "./comment-form";
import type { Delivery, Desk, Onlooker } from "./delivery";
import { make } from "./dom";
import { strings } from "./i18n";
import { loadWriting } from "./load-writing";
import type { Access, Visitor } from "./site";
import { hasStored, TEXT_PREFIX } from "./storage";

/** Who goes on typing while it cannot be loaded need not have it asked for with each character. */
const ASK_AGAIN_MS = 3000;

export class Writer {
  readonly form = new CommentForm();
  readonly #desk: Desk;
  readonly #note = make("p", { class: "chatix-note", "aria-live": "polite" });
  #delivery: Delivery | null = null;
  #isWanted = false;
  #isRunning = false;
  #failedAt = 0;
  /** The reader has pressed the button, and nobody has heard it. */
  #isPosted = false;
  #place: [Access, Visitor] | null = null;
  #viewer: Onlooker | null = null;

  constructor(desk: Desk) {
    this.#desk = desk;
    const { element, files } = this.form;
    element.addEventListener("focusin", () => this.#want());
    element.addEventListener("input", () => this.#want());
    element.addEventListener("submit", (event) => this.#onSubmit(event));
    element.addEventListener("dragover", (event) => this.#onFiles(event, event.dataTransfer));
    element.addEventListener("drop", (event) => this.#onFiles(event, event.dataTransfer));
    element.addEventListener("paste", (event) => this.#onFiles(event, event.clipboardData));
    files.addEventListener("change", () => this.#want(true));
  }

  /** Whether there is something that the reader would miss. */
  get hasContent(): boolean {
    return this.#delivery?.hasContent ?? this.form.text.value !== "";
  }

  /** Whether something is on its way, or waits for the line. */
  get isAtWork(): boolean {
    return this.#delivery?.isAtWork ?? false;
  }

  /** Take over what was being written in the form of which this takes the place; never a whisper. */
  adopt(former: HTMLFormElement): void {
    if (former.matches(".chatix-whisper")) return;
    const written = (selector: string) => former.querySelector<HTMLInputElement>(selector)?.value ?? "";
    this.form.name.value = written("input[name=name]");
    this.form.text.value = written("textarea");
    if (this.hasContent) this.#want();
  }

  /** The site lets us in: bring back what this visitor has written there before, and keep what comes. */
  open(access: Access, visitor: Visitor): void {
    this.#place = [access, visitor];
    this.#delivery?.open(access, visitor);
    if (visitor.isPersistent || hasStored(TEXT_PREFIX)) this.#want();
  }

  /** Managers write much, and whisper: what they need comes at once. */
  setManager(isManager: boolean): void {
    if (!isManager) this.#delivery?.withdrawWhispers();
    this.form.setManager(isManager);
    if (isManager) this.#want();
  }

  /** Say for whom the thread is: under each comment is what this viewer may do with it, once that has come. */
  set viewer(viewer: Onlooker) {
    this.#viewer = viewer;
    this.#delivery?.equip(viewer);
  }

  /** There is nothing to post to: the reader gets back what waits. */
  giveBack(error: unknown): void {
    this.#delivery?.giveBack(error);
    if (!this.#delivery) this.#stopWaiting();
    this.#isPosted = false;
  }

  /** While there is a line, send what waits, or find out what became of it. */
  settle(): void {
    if (this.#isWanted) this.#want(true);
    this.#delivery?.settle();
  }

  /** Begin, or go on after `stop`. */
  start(): void {
    this.#isRunning = true;
    if (loadWriting.loaded) this.#begin(loadWriting.loaded);
    this.#delivery?.start();
  }

  stop(): void {
    this.#isRunning = false;
    this.#delivery?.stop();
  }

  /** @param isUrgent Whether the reader waits for it. */
  #want(isUrgent = false): void {
    this.#isWanted = true;
    if (this.#delivery || (!isUrgent && Date.now() - this.#failedAt < ASK_AGAIN_MS)) return;
    loadWriting().then(
      (part) => this.#begin(part),
      () => this.#fail(),
    );
  }

  #begin({ Delivery }: NonNullable<typeof loadWriting.loaded>): void {
    if (this.#delivery || !this.#isRunning) return;
    this.#stopWaiting();
    const delivery = new Delivery(this.#desk, this.form);
    this.#delivery = delivery;
    if (this.#place) delivery.open(...this.#place);
    if (this.#viewer) delivery.equip(this.#viewer);
    delivery.begin(this.#isPosted);
    delivery.settle();
  }

  /**
   * Without a line, what waits for it waits as a comment does that is on its way. With one it may be that there is no such
   * file any more, since the site has another version by now: then the reader has to know.
   */
  #fail(): void {
    this.#failedAt = Date.now();
    const isMissed = this.#isPosted || this.form.files.files?.length;
    if (!isMissed) return;
    if (this.#desk.liveChat()) {
      this.#isPosted = false;
      this.#setWaiting(false);
    }
    this.#note.textContent = this.#isPosted
      ? strings.willBePosted
      : `${strings.cannotWrite} ${strings.keepText}`;
    this.form.actions.before(this.#note);
  }

  #onSubmit(event: Event): void {
    event.preventDefault();
    if (this.#delivery) return;
    this.#isPosted = true;
    this.#setWaiting(true);
    this.#want(true);
  }

  #stopWaiting(): void {
    this.#note.remove();
    this.#setWaiting(false);
  }

  /** Read-only rather than disabled: the reader keeps the focus, and can still select and copy. */
  #setWaiting(isWaiting: boolean): void {
    const { name, text, button } = this.form;
    name.readOnly = text.readOnly = isWaiting;
    button.setAttribute("aria-disabled", String(isWaiting));
  }

  /** Otherwise the browser would open the file in place of the page, or nothing would come of it. */
  #onFiles(event: Event, data: DataTransfer | null): void {
    const { files, attach } = this.form;
    if (this.#delivery || attach.hidden || !data) return;
    if (!data.types.includes("Files") || data.types.includes("text/plain")) return;
    event.preventDefault();
    // While it is dragged, the browser does not show it yet.
    if (data.files.length) files.files = data.files;
    this.#want(true);
  }
}
