/** The form: name, text, what is wrong with them. It keeps what was typed until it is told otherwise. */

import { make } from "./dom";
import { strings } from "./i18n";
import type { Draft, OutboxState } from "./outbox";
import type { Limits, Visitor } from "./site";

/** The counter appears when this part of the limit is used. */
const COUNTER_FROM = 0.9;

/** What is wrong, and where the reader can mend it. */
export type Fault = [message: string, where: "text" | "name" | "form"];

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
  readonly #submit: (draft: Draft) => void;
  #mayPost = true;
  #limits: Limits = { messageChars: 10_000, nameChars: 80, pageSize: 30 };
  #visitor: Visitor | null = null;

  constructor(submit: (draft: Draft) => void) {
    this.#submit = submit;
    this.#nameField = field(strings.name, this.#name, "chatix-label");
    const textField = field(strings.write, this.#text, "chatix-label chatix-hidden-label");
    this.#text.placeholder = strings.write;
    this.element = make(
      "form",
      { class: "chatix-form", novalidate: true },
      this.#nameField,
      this.#identity,
      textField,
      this.#error,
      make("div", { class: "chatix-actions" }, this.#hint, this.#counter, this.#button),
    );
    this.element.addEventListener("submit", (event) => this.#onSubmit(event));
    this.element.addEventListener("input", ({ target }) => {
      if (target instanceof Element && target.hasAttribute("aria-invalid")) this.#forgive();
      this.#onInput();
    });
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get hasText(): boolean {
    return this.#text.value !== "";
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
  }

  /** Show the form that this visitor needs: guests give a name, users of the site have one. */
  setVisitor(visitor: Visitor, limits: Limits): void {
    this.#limits = limits;
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

  /** Show what becomes of the comment; the text goes only when it is acknowledged. */
  show(state: OutboxState, previous: OutboxState): void {
    const isPending = state.kind === "sending" || state.kind === "waiting";
    // Read-only rather than disabled: the reader keeps the focus, and can still select and copy.
    this.#text.readOnly = isPending;
    this.#name.readOnly = isPending;
    this.element.setAttribute("aria-busy", String(isPending));
    this.#button.setAttribute("aria-disabled", String(isPending));
    this.#button.textContent = state.kind === "sending" ? strings.posting : strings.post;
    this.#hint.hidden = state.kind !== "waiting";
    if (state.kind === "empty" && previous.kind !== "empty") this.#clear();
  }

  /** Say what went wrong, and where. A reader who has turned to something else keeps the focus there. */
  fail(...[message, where]: Fault): void {
    const input = this.#tell(message, where);
    if (this.element.contains(document.activeElement)) input?.focus();
  }

  #tell(message: string, where: Fault[1]): HTMLElement | null {
    this.#error.textContent = message;
    this.#error.hidden = false;
    const input = { name: this.#name, text: this.#text, form: null }[where];
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", this.#error.id);
    return input;
  }

  #clear(): void {
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
    if (this.#text.readOnly || !this.#mayPost) return;
    this.#forgive();
    const text = this.#text.value.trim();
    const name = this.#name.value.trim();
    const isGuest = this.#visitor?.isSignedIn === false;
    const fault = (isGuest && this.#nameFault(name)) || this.#textFault(text);
    if (fault) {
      this.#tell(...fault)?.focus();
      return;
    }
    const isNew = isGuest && (name !== this.#visitor?.name || !this.#visitor.isPersistent);
    this.#submit({ text, name: isNew ? name : null });
  }

  #nameFault(name: string): Fault | null {
    const limit = this.#limits.nameChars;
    if (!name) return [strings.emptyName, "name"];
    return lengthOf(name) > limit ? [strings.longName(limit), "name"] : null;
  }

  #textFault(text: string): Fault | null {
    const limit = this.#limits.messageChars;
    const length = lengthOf(text);
    if (!text) return [strings.emptyText, "text"];
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
