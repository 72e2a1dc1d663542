/** The form: name, text, files, what is wrong with them. It keeps what it was given until it is told otherwise. */

import { Attachments } from "./attachments";
import { make } from "./dom";
import { strings } from "./i18n";
import { managerBadge } from "./marks";
import type { Draft, OutboxState, Pending } from "./outbox";
import type { Limits, Visitor } from "./site";
import { isSendKey, lengthOf, textFault } from "./text-rules";
import { WhisperToggle } from "./whisper-toggle";

/** The counter appears when this part of the limit is used. */
const COUNTER_FROM = 0.9;

type Warned = "name" | "text";

/** What is wrong, and where the reader can mend it. */
export type Fault = [message: string, where: "text" | "name" | "files" | "form"];

export class Composer {
  readonly element: HTMLFormElement;
  readonly #name = make("input", {
    class: "chatix-input",
    type: "text",
    autocomplete: "name",
    name: "name",
    dir: "auto",
    required: true,
  });
  readonly #nameField: HTMLElement;
  readonly #identity = make("p", { class: "chatix-identity", hidden: true });
  readonly #text = make("textarea", {
    class: "chatix-input",
    rows: "3",
    name: "text",
    dir: "auto",
    required: true,
  });
  readonly #counter = make("span", { class: "chatix-counter", hidden: true });
  readonly #hint = make("p", { class: "chatix-hint", hidden: true }, strings.willBePosted);
  readonly #error = make("p", { class: "chatix-error", role: "alert", hidden: true, id: newErrorId() });
  readonly #button = make("button", { class: "chatix-post", type: "submit" }, strings.post);
  readonly #textLabel = make("span", { class: "chatix-label chatix-hidden-label" });
  readonly #whisper = new WhisperToggle(() => this.#showWhisper());
  readonly #attachments: Attachments;
  readonly #submit: (draft: Draft) => void;
  #mayPost = true;
  #limits: Limits = { messageChars: 10_000, nameChars: 80, pageSize: 30, editWindowMs: 0, files: null };
  #visitor: Visitor | null = null;
  #isManager = false;
  #isPending = false;
  #isSending = false;
  /** What is said to be too long already. */
  readonly #warned: Record<Warned, string | null> = { name: null, text: null };

  /** @param withdraw Hears of a file that the reader has taken back; it may be under way. */
  constructor(submit: (draft: Draft) => void, withdraw: (file: File) => void) {
    this.#submit = submit;
    this.#nameField = field(make("span", { class: "chatix-label" }, strings.name), this.#name);
    this.element = make("form", { class: "chatix-form", novalidate: true });
    this.#attachments = new Attachments(this.element, {
      changed: () => this.#forgive(),
      counted: (count) => this.#text.toggleAttribute("required", count === 0),
      refused: (reasons) => this.#tell(reasons.join("\n"), "files"),
      withdrawn: withdraw,
      retried: (file) => this.#post("", [file]),
    });
    this.element.append(
      this.#nameField,
      this.#identity,
      field(this.#textLabel, this.#text),
      this.#attachments.list,
      this.#error,
      this.#whisper.element,
      make(
        "div",
        { class: "chatix-actions" },
        this.#attachments.control,
        this.#hint,
        this.#counter,
        this.#button,
      ),
    );
    this.element.addEventListener("submit", (event) => this.#onSubmit(event));
    this.element.addEventListener("input", ({ target }) => {
      const isWarned = this.#warned.name !== null || this.#warned.text !== null;
      if (!isWarned && target instanceof Element && target.hasAttribute("aria-invalid")) this.#forgive();
      this.#onInput();
      this.#warn();
    });
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
    this.#showWhisper();
  }

  /** Whether there is something that the reader would miss. */
  get hasContent(): boolean {
    return this.#text.value !== "" || this.#attachments.files.length > 0;
  }

  /** What is being written as a comment, or would be one. */
  get draft(): string {
    return this.#whisper.isOn ? "" : this.#text.value;
  }

  /** Put what was written before into an empty box. */
  fill(text: string): void {
    if (!text || this.#text.value) return;
    this.#text.value = text;
    this.#onInput();
  }

  /** Take over what was being written in the form of which this takes the place; never a whisper. */
  adopt(form: HTMLFormElement): void {
    if (form.matches(".chatix-whisper")) return;
    const written = (selector: string) => form.querySelector<HTMLInputElement>(selector)?.value ?? "";
    this.#name.value = written("input[name=name]");
    this.fill(written("textarea"));
  }

  /** Say whether there is any use in posting; what was typed stays to be copied. */
  set mayPost(mayPost: boolean) {
    this.#mayPost = mayPost;
    this.#button.hidden = !mayPost;
    this.#arrangeFiles();
  }

  /** Show the form that this visitor needs: guests give a name, users of the site have one. */
  setVisitor(visitor: Visitor, limits: Limits): void {
    this.#limits = limits;
    this.#arrangeFiles();
    const isGuest = !visitor.isSignedIn;
    this.#nameField.hidden = !isGuest;
    this.#identity.hidden = isGuest;
    // A name that is being typed is the reader's; one that the site remembers fills an empty field only.
    if (isGuest && visitor.name && !this.#name.value) this.#name.value = visitor.name;
    this.#visitor = visitor;
    this.#showIdentity();
  }

  #showIdentity(): void {
    const name = make("b", {}, make("bdi", {}, this.#visitor?.name ?? ""));
    const badge = this.#isManager ? [" ", managerBadge()] : [];
    this.#identity.replaceChildren(`${strings.commentingAs} `, name, ...badge);
  }

  /** Let managers whisper. What somebody was about to whisper who is none any more must not become a comment. */
  setManager(isManager: boolean): void {
    const wasWhispering = this.#whisper.isOn;
    this.#isManager = isManager;
    this.#whisper.isAllowed = isManager;
    this.#showIdentity();
    this.#showWhisper();
    if (isManager || !wasWhispering) return;
    this.#clearText();
    this.fail(strings.whisperEnded, "form");
  }

  #arrangeFiles(): void {
    // A file is posted for all to see.
    const limits = this.#mayPost ? this.#limits.files : null;
    this.#attachments.limits = this.#whisper.isOn ? null : limits;
    this.#attachments.refusal = limits && this.#whisper.isOn ? strings.whisperTakesNoFiles : null;
  }

  /** Show what becomes of the comment; what is in the boxes stays until it is acknowledged. */
  show({ kind, items }: OutboxState): void {
    this.#isPending = kind !== "empty";
    // Read-only rather than disabled: the reader keeps the focus, and can still select and copy.
    this.#text.readOnly = items.some(({ file }) => file === null);
    this.#name.readOnly = this.#isPending;
    this.element.setAttribute("aria-busy", String(this.#isPending));
    this.#button.setAttribute("aria-disabled", String(this.#isPending));
    this.#isSending = kind === "sending";
    this.#whisper.isLocked = this.#isPending;
    this.#showButton();
    this.#hint.hidden = kind !== "waiting";
    this.#attachments.show(new Set(items.flatMap(({ file }) => file ?? [])));
  }

  /** What is written is a whisper, or is not: no state of the form must look like the other. */
  #showWhisper(): void {
    const { isOn } = this.#whisper;
    const what = isOn ? strings.writeWhisper : strings.write;
    this.element.classList.toggle("chatix-whisper", isOn);
    this.#textLabel.textContent = what;
    this.#text.placeholder = what;
    this.#arrangeFiles();
    this.#showButton();
    this.#retract(strings.whisperHasFiles, strings.whisperTakesNoFiles);
    if (isOn && this.#attachments.files.length > 0) this.#tell(strings.whisperHasFiles, "files");
  }

  #showButton(): void {
    const idle = this.#whisper.isOn ? strings.postWhisper : strings.post;
    this.#button.textContent = this.#isSending ? strings.posting : idle;
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
    const input = { name: this.#name, text: this.#text, files: null, form: null }[where];
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
    this.#text.value = "";
    this.#warned.text = null;
    this.#forgive();
    this.#onInput();
  }

  #forgive(): void {
    this.#error.hidden = true;
    this.#error.textContent = "";
    for (const input of [this.#name, this.#text]) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }

  #onSubmit(event: Event): void {
    event.preventDefault();
    this.#post(this.#text.value.trim(), this.#attachments.files);
  }

  #post(text: string, files: readonly File[]): void {
    if (this.#isPending || !this.#mayPost) return;
    this.#forgive();
    const name = this.#name.value.trim();
    const isGuest = this.#visitor?.isSignedIn === false;
    const isWhisper = this.#whisper.isOn;
    const fault = (isGuest && this.#nameFault(name)) || this.#contentFault(text, files.length > 0);
    if (fault) {
      this.#tell(...fault)?.focus();
      return;
    }
    const isNew = isGuest && (name !== this.#visitor?.name || !this.#visitor.isPersistent);
    this.#submit({ text, files, isWhisper, name: isNew ? name : null });
  }

  /** Say what would be refused while it is written, once for as long as it is so. */
  #warn(): void {
    const { messageChars, nameChars } = this.#limits;
    const faults: Record<Warned, string | null> = {
      name: lengthOf(this.#name.value.trim()) > nameChars ? strings.longName(nameChars) : null,
      text: lengthOf(this.#text.value.trim()) > messageChars ? strings.tooLong(messageChars) : null,
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

  #onInput(): void {
    const used = lengthOf(this.#text.value);
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

function field(label: HTMLElement, input: HTMLElement): HTMLElement {
  return make("label", { class: "chatix-field" }, label, input);
}
