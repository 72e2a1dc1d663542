/** The form in use: files, whispers, what is wrong with any of it. It keeps what it was given until it is told otherwise. */

import { Attachments } from "./attachments";
import type { CommentForm } from "./comment-form";
import { make } from "./dom";
import { strings as formStrings } from "./i18n";
import { type Limits, limitsFrom } from "./limits";
import type { Draft, OutboxState, Pending } from "./outbox";
import { isSendKey, lengthOf, textFault } from "./text-rules";
import { WhisperToggle } from "./whisper-toggle";
import { writingStrings as strings } from "./writing-strings";

/** The counter appears when this part of the limit is used. */
const COUNTER_FROM = 0.9;

type Warned = "name" | "text";

/** What is wrong, and where the reader can mend it. */
export type Fault = [message: string, where: "text" | "name" | "files" | "form"];

export class Composer {
  readonly element: HTMLFormElement;
  readonly #form: CommentForm;
  readonly #counter = make("span", { class: "chatix-counter", hidden: true });
  readonly #hint = make("p", { class: "chatix-hint", hidden: true }, formStrings.willBePosted);
  readonly #error = make("p", { class: "chatix-error", role: "alert", hidden: true, id: newErrorId() });
  readonly #whisper = new WhisperToggle(() => this.#showWhisper());
  readonly #attachments: Attachments;
  readonly #submit: (draft: Draft) => void;
  #limits: Limits = limitsFrom({});
  #isPending = false;
  #isSending = false;
  /** What is said to be too long already. */
  readonly #warned: Record<Warned, string | null> = { name: null, text: null };

  /** @param withdraw Hears of a file that the reader has taken back; it may be under way. */
  constructor(form: CommentForm, submit: (draft: Draft) => void, withdraw: (file: File) => void) {
    this.#form = form;
    this.element = form.element;
    this.#submit = submit;
    this.#attachments = new Attachments(form, {
      changed: () => this.#forgive(),
      counted: (count) => this.#form.text.toggleAttribute("required", count === 0),
      refused: (reasons) => this.#tell(reasons.join("\n"), "files"),
      withdrawn: withdraw,
      retried: (file) => this.#post("", [file]),
    });
    form.actions.before(this.#attachments.list, this.#error, this.#whisper.element);
    form.button.before(this.#hint, this.#counter);
    this.element.addEventListener("submit", (event) => this.#onSubmit(event));
    this.element.addEventListener("input", ({ target }) => this.#onInput(target));
    form.text.addEventListener("keydown", (event) => this.#onKey(event));
    form.changed = () => this.#onChanged();
    this.#onChanged();
    this.#onInput(null);
  }

  /** Whether there is something that the reader would miss. */
  get hasContent(): boolean {
    return this.#form.text.value !== "" || this.#attachments.files.length > 0;
  }

  /** What is being written as a comment, or would be one. */
  get draft(): string {
    return this.#whisper.isOn ? "" : this.#form.text.value;
  }

  /** Put what was written before into an empty box. */
  fill(text: string): void {
    if (!text || this.#form.text.value) return;
    this.#form.text.value = text;
    this.#count();
  }

  /** Take the files that the control holds. */
  takeChosen(): void {
    this.#attachments.takeChosen();
  }

  /** Post what is in the form, if nothing is wrong with it. */
  submit(): void {
    this.#post(this.#form.text.value.trim(), this.#attachments.files);
  }

  /** What somebody was about to whisper who is no manager any more must not become a comment. */
  #onChanged(): void {
    this.#limits = limitsFrom(this.#form.limits);
    const wasWhispering = this.#whisper.isOn;
    const { isManager } = this.#form;
    this.#whisper.isAllowed = isManager;
    this.#showWhisper();
    if (isManager || !wasWhispering) return;
    this.#clearText();
    this.fail(strings.whisperEnded, "form");
  }

  #arrangeFiles(): void {
    // A file is posted for all to see.
    const limits = this.#form.mayPost ? this.#limits.files : null;
    this.#attachments.limits = this.#whisper.isOn ? null : limits;
    this.#attachments.refusal = limits && this.#whisper.isOn ? strings.whisperTakesNoFiles : null;
  }

  /** Show what becomes of the comment; what is in the boxes stays until it is acknowledged. */
  show({ kind, items }: OutboxState): void {
    this.#isPending = kind !== "empty";
    // Read-only rather than disabled: the reader keeps the focus, and can still select and copy.
    this.#form.text.readOnly = items.some(({ file }) => file === null);
    this.#form.name.readOnly = this.#isPending;
    this.element.setAttribute("aria-busy", String(this.#isPending));
    this.#form.button.setAttribute("aria-disabled", String(this.#isPending));
    this.#isSending = kind === "sending";
    this.#whisper.isLocked = this.#isPending;
    this.#showButton();
    this.#hint.hidden = kind !== "waiting";
    this.#attachments.show(new Set(items.flatMap(({ file }) => file ?? [])));
  }

  /** What is written is a whisper, or is not: no state of the form must look like the other. */
  #showWhisper(): void {
    const { isOn } = this.#whisper;
    const what = isOn ? strings.writeWhisper : formStrings.write;
    this.element.classList.toggle("chatix-whisper", isOn);
    this.#form.label.textContent = what;
    this.#form.text.placeholder = what;
    this.#arrangeFiles();
    this.#showButton();
    this.#retract(strings.whisperHasFiles, strings.whisperTakesNoFiles);
    if (isOn && this.#attachments.files.length > 0) this.#tell(strings.whisperHasFiles, "files");
  }

  #showButton(): void {
    const idle = this.#whisper.isOn ? strings.postWhisper : formStrings.post;
    this.#form.button.textContent = this.#isSending ? strings.posting : idle;
  }

  showProgress(file: File, part: number | null): void {
    this.#attachments.showProgress(file, part);
  }

  /** Take out what is in the thread. */
  clear({ file }: Pending): void {
    if (file) this.#attachments.remove(file);
    else this.#clearText();
  }

  /** This file was not posted; the reader may have it tried again, by itself. */
  offerAgain(file: File): void {
    this.#attachments.offerAgain(file);
  }

  /** Say what went wrong, and where. A reader who has turned to something else keeps the focus there. */
  fail(...[message, where]: Fault): void {
    const input = this.#tell(message, where);
    if (this.element.contains(document.activeElement)) input?.focus();
  }

  #tell(message: string, where: Fault[1]): HTMLElement | null {
    // Of several files each may have something wrong with it.
    const before = where === "files" && !this.#error.hidden ? `${this.#error.textContent}\n` : "";
    this.#error.textContent = before + message;
    this.#error.hidden = false;
    const input = { name: this.#form.name, text: this.#form.text, files: null, form: null }[where];
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", this.#error.id);
    return input;
  }

  /** Take back sentences that are not true any more; others stay. */
  #retract(...sentences: readonly string[]): void {
    const lines = (this.#error.textContent ?? "").split("\n").filter((line) => !sentences.includes(line));
    this.#error.textContent = lines.join("\n");
    this.#error.hidden ||= this.#error.textContent === "";
  }

  #clearText(): void {
    this.#form.text.value = "";
    this.#warned.text = null;
    this.#forgive();
    this.#count();
  }

  #forgive(): void {
    this.#error.hidden = true;
    this.#error.textContent = "";
    for (const input of [this.#form.name, this.#form.text]) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }

  #onSubmit(event: Event): void {
    event.preventDefault();
    this.submit();
  }

  #post(text: string, files: readonly File[]): void {
    if (this.#isPending || !this.#form.mayPost) return;
    this.#forgive();
    const name = this.#form.name.value.trim();
    const isGuest = this.#form.visitor?.isSignedIn === false;
    const isWhisper = this.#whisper.isOn;
    const fault = (isGuest && this.#nameFault(name)) || this.#contentFault(text, files.length > 0);
    if (fault) {
      this.#tell(...fault)?.focus();
      return;
    }
    const isNew = isGuest && (name !== this.#form.visitor?.name || !this.#form.visitor.isPersistent);
    this.#submit({ text, files, isWhisper, name: isNew ? name : null });
  }

  /** Say what would be refused while it is written, once for as long as it is so. */
  #warn(): void {
    const { messageChars, nameChars } = this.#limits;
    const faults: Record<Warned, string | null> = {
      name: lengthOf(this.#form.name.value.trim()) > nameChars ? strings.longName(nameChars) : null,
      text: lengthOf(this.#form.text.value.trim()) > messageChars ? strings.tooLong(messageChars) : null,
    };
    for (const where of ["name", "text"] as const) {
      const fault = faults[where];
      if (fault === this.#warned[where]) continue;
      this.#warned[where] = fault;
      if (fault) this.#tell(fault, where);
      else this.#forgive();
    }
  }

  #nameFault(name: string): Fault | null {
    const limit = this.#limits.nameChars;
    if (!name) return [strings.emptyName, "name"];
    return lengthOf(name) > limit ? [strings.longName(limit), "name"] : null;
  }

  #contentFault(text: string, hasFiles: boolean): Fault | null {
    if (hasFiles && this.#whisper.isOn) return [strings.whisperHasFiles, "files"];
    if (hasFiles && !text) return null;
    const fault = textFault(text, this.#limits.messageChars);
    return fault === null ? null : [fault, "text"];
  }

  #onInput(target: EventTarget | null): void {
    const isWarned = this.#warned.name !== null || this.#warned.text !== null;
    if (!isWarned && target instanceof Element && target.hasAttribute("aria-invalid")) this.#forgive();
    this.#count();
    this.#warn();
  }

  #count(): void {
    const used = lengthOf(this.#form.text.value);
    const left = this.#limits.messageChars - used;
    this.#counter.hidden = used < this.#limits.messageChars * COUNTER_FROM;
    this.#counter.textContent = strings.charactersLeft(left);
    this.#counter.classList.toggle("chatix-over", left < 0);
  }

  #onKey(event: KeyboardEvent): void {
    if (!isSendKey(event)) return;
    event.preventDefault();
    this.element.requestSubmit();
  }
}

let errors = 0;

/** Several sections may be on one page. */
function newErrorId(): string {
  errors += 1;
  return `chatix-error-${errors}`;
}
