/** The form: name, text, files, what is wrong with them. It keeps what it was given until it is told otherwise. */

import { Attachments } from "./attachments";
import { make } from "./dom";
import { strings } from "./i18n";
import type { Draft, OutboxState, Pending } from "./outbox";
import type { Limits, Visitor } from "./site";

/** The counter appears when this part of the limit is used. */
const COUNTER_FROM = 0.9;

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
  readonly #attachments: Attachments;
  readonly #submit: (draft: Draft) => void;
  #mayPost = true;
  #limits: Limits = { messageChars: 10_000, nameChars: 80, pageSize: 30, files: null };
  #visitor: Visitor | null = null;
  #isPending = false;

  /** @param withdraw Hears of a file that the reader has taken back; it may be under way. */
  constructor(submit: (draft: Draft) => void, withdraw: (file: File) => void) {
    this.#submit = submit;
    this.#nameField = field(strings.name, this.#name, "chatix-label");
    const textField = field(strings.write, this.#text, "chatix-label chatix-hidden-label");
    this.#text.placeholder = strings.write;
    this.element = make("form", { class: "chatix-form", novalidate: true });
    this.#attachments = new Attachments(this.element, {
      changed: () => this.#forgive(),
      counted: (count) => this.#text.toggleAttribute("required", count === 0),
      refused: (reasons) => this.#tell(reasons.join("\n"), "files"),
      withdrawn: withdraw,
    });
    this.element.append(
      this.#nameField,
      this.#identity,
      textField,
      this.#attachments.list,
      this.#error,
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
      if (target instanceof Element && target.hasAttribute("aria-invalid")) this.#forgive();
      this.#onInput();
    });
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Whether there is something that the reader would miss. */
  get hasContent(): boolean {
    return this.#text.value !== "" || this.#attachments.files.length > 0;
  }

  /** Make a change above the form; whoever is writing sees the form stay where it is. */
  keepInPlace(change: () => void): void {
    const isInUse = this.element.contains(document.activeElement);
    const before = this.element.getBoundingClientRect().top;
    change();
    if (!isInUse) return;
    const moved = this.element.getBoundingClientRect().top - before;
    if (moved) scrollBy({ top: moved, behavior: "instant" });
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
    this.#identity.replaceChildren(
      `${strings.commentingAs} `,
      make("b", {}, make("bdi", {}, visitor.name ?? "")),
    );
    // A name that is being typed is the reader's; one that the site remembers fills an empty field only.
    if (isGuest && visitor.name && !this.#name.value) this.#name.value = visitor.name;
    this.#visitor = visitor;
  }

  #arrangeFiles(): void {
    this.#attachments.limits = this.#mayPost ? this.#limits.files : null;
  }

  /** Show what becomes of the comment; what is in the boxes stays until it is acknowledged. */
  show({ kind, items }: OutboxState): void {
    this.#isPending = kind !== "empty";
    // Read-only rather than disabled: the reader keeps the focus, and can still select and copy.
    this.#text.readOnly = items.some(({ file }) => file === null);
    this.#name.readOnly = this.#isPending;
    this.element.setAttribute("aria-busy", String(this.#isPending));
    this.#button.setAttribute("aria-disabled", String(this.#isPending));
    this.#button.textContent = kind === "sending" ? strings.posting : strings.post;
    this.#hint.hidden = kind !== "waiting";
    this.#attachments.show(new Set(items.flatMap(({ file }) => file ?? [])));
  }

  showProgress(file: File, part: number): void {
    this.#attachments.showProgress(file, part);
  }

  /** Take out what is in the thread. */
  clear({ file }: Pending): void {
    if (file) this.#attachments.remove(file);
    else this.#clearText();
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

  #clearText(): void {
    this.#text.value = "";
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
    if (this.#isPending || !this.#mayPost) return;
    this.#forgive();
    const text = this.#text.value.trim();
    const { files } = this.#attachments;
    const name = this.#name.value.trim();
    const isGuest = this.#visitor?.isSignedIn === false;
    const fault = (isGuest && this.#nameFault(name)) || this.#textFault(text, files.length > 0);
    if (fault) {
      this.#tell(...fault)?.focus();
      return;
    }
    const isNew = isGuest && (name !== this.#visitor?.name || !this.#visitor.isPersistent);
    this.#submit({ text, files, name: isNew ? name : null });
  }

  #nameFault(name: string): Fault | null {
    const limit = this.#limits.nameChars;
    if (!name) return [strings.emptyName, "name"];
    return lengthOf(name) > limit ? [strings.longName(limit), "name"] : null;
  }

  #textFault(text: string, hasFiles: boolean): Fault | null {
    const limit = this.#limits.messageChars;
    const length = lengthOf(text);
    if (!text && !hasFiles) return [strings.emptyText, "text"];
    return length > limit ? [strings.longText(limit, length), "text"] : null;
  }

  #onInput(): void {
    const used = lengthOf(this.#text.value);
    const left = this.#limits.messageChars - used;
    this.#counter.hidden = used < this.#limits.messageChars * COUNTER_FROM;
    this.#counter.textContent = strings.charactersLeft(left);
    this.#counter.classList.toggle("chatix-over", left < 0);
  }

  #onKey(event: KeyboardEvent): void {
    const isShortcut = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
    if (!isShortcut) return;
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

/** Characters as Python counts them: the hub's limits are in code points. */
function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

function field(label: string, input: HTMLElement, labelClass: string): HTMLElement {
  return make("label", { class: "chatix-field" }, make("span", { class: labelClass }, label), input);
}
