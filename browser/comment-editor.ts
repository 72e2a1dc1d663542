/** A comment's text in a box, in its place. It keeps what was typed until it is told otherwise. */

import { make } from "./dom";
import { isSendKey, textFault } from "./text-rules";
import { writingStrings as strings } from "./writing-strings";

export type EditorState = "open" | "saving" | "waiting";

export interface EditorListener {
  /** The text is different from what it was, and fits. */
  save(text: string): void;
  /** Nothing is to be changed. */
  cancel(): void;
}

export class CommentEditor {
  readonly element: HTMLFormElement;
  readonly #text = make("textarea", { class: "chatix-input", rows: "3", dir: "auto" });
  readonly #save = make("button", { class: "chatix-save", type: "submit" }, strings.save);
  readonly #cancel = make("button", { type: "button" }, strings.cancel);
  readonly #hint = make("p", { class: "chatix-waiting", role: "status" });
  readonly #note = make("p", { class: "chatix-meanwhile", role: "alert", hidden: true });
  readonly #error = make("p", { class: "chatix-error", role: "alert", hidden: true });
  readonly #before: string;
  readonly #limit: number;
  readonly #listener: EditorListener;
  #state: EditorState = "open";

  /**
   * @param label What is edited, for those who do not see where the box stands.
   * @param limit Characters in a comment.
   */
  constructor(text: string, label: string, limit: number, listener: EditorListener) {
    this.#before = text;
    this.#limit = limit;
    this.#listener = listener;
    this.#text.value = text;
    this.#text.setAttribute("aria-label", label);
    const actions = make("div", { class: "chatix-actions" }, this.#hint, this.#cancel, this.#save);
    this.element = make(
      "form",
      { class: "chatix-form chatix-editor", novalidate: true },
      this.#note,
      this.#text,
      this.#error,
      actions,
    );
    this.element.addEventListener("submit", (event) => this.#onSubmit(event));
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.#cancel.addEventListener("click", () => this.#leave());
  }

  /** What is in the box now. */
  get text(): string {
    return this.#text.value;
  }

  /** The text that the editor was opened with. */
  get before(): string {
    return this.#before;
  }

  focus(): void {
    this.#text.focus();
    this.#text.setSelectionRange(this.#text.value.length, this.#text.value.length);
  }

  /** Show how far the saving is. While it waits for a line it can be called off. */
  show(state: EditorState): void {
    this.#state = state;
    // Read-only rather than disabled: the reader keeps the focus, and can still select and copy.
    this.#text.readOnly = state !== "open";
    this.element.setAttribute("aria-busy", String(state !== "open"));
    this.#save.setAttribute("aria-disabled", String(state !== "open"));
    this.#cancel.setAttribute("aria-disabled", String(state === "saving"));
    this.#save.textContent = state === "saving" ? strings.saving : strings.save;
    this.#hint.textContent = state === "waiting" ? strings.willBeSaved : "";
  }

  /** Say why the text was not taken, and let the reader go on. */
  fail(message: string): void {
    this.show("open");
    this.#tell(message);
  }

  /** Say what has happened to the comment meanwhile. */
  note(message: string): void {
    if (this.#note.textContent !== message) this.#note.textContent = message;
    this.#note.hidden = false;
  }

  /** The comment is gone: what was typed can be copied, and that is all. */
  orphan(message: string): void {
    this.show("open");
    this.note(message);
    this.#save.hidden = true;
    this.#cancel.textContent = strings.close;
  }

  #tell(message: string): void {
    this.#error.textContent = message;
    this.#error.hidden = message === "";
    if (message) this.#text.setAttribute("aria-invalid", "true");
    else this.#text.removeAttribute("aria-invalid");
  }

  #onSubmit(event: Event): void {
    event.preventDefault();
    if (this.#state !== "open" || this.#save.hidden) return;
    const text = this.#text.value.trim();
    if (text === this.#before) {
      this.#listener.cancel();
      return;
    }
    const fault = textFault(text, this.#limit);
    this.#tell(fault ?? "");
    if (fault) this.#text.focus();
    else this.#listener.save(text);
  }

  #leave(): void {
    if (this.#state !== "saving") this.#listener.cancel();
  }

  #onKey(event: KeyboardEvent): void {
    if (isSendKey(event)) {
      event.preventDefault();
      this.element.requestSubmit();
    } else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      this.#leave();
    }
  }
}
