/** What a reader can do with one comment, under it: edit it in its place, or delete it after a question. */

import { CommentEditor } from "./comment-editor";
import { focusQuietly, make } from "./dom";
import { RefusedError } from "./sdk/chat";
import type { ThreadMessage } from "./thread-state";
import { writingStrings as strings } from "./writing-strings";

/** Changes comments; rejects with LineError or RefusedError. */
export interface Changer {
  edit(id: string, text: string): Promise<void>;
  remove(id: string): Promise<void>;
}

/** What is under way. */
type Task = { readonly kind: "edit"; readonly text: string } | { readonly kind: "remove" };

export class CommentActions {
  readonly #article: HTMLElement;
  readonly #changer: Changer;
  /** Buttons come and go; that is no news of the thread. */
  readonly #element = make("div", { class: "chatix-tools", "aria-live": "off" });
  readonly #edit = make("button", { type: "button" }, strings.edit);
  readonly #delete = make("button", { type: "button" }, strings.delete);
  readonly #buttons = make("div", { class: "chatix-buttons" }, this.#edit, this.#delete);
  readonly #question: HTMLElement;
  readonly #confirm = make("button", { class: "chatix-danger", type: "button" }, strings.delete);
  readonly #keep = make("button", { type: "button" }, strings.keep);
  readonly #hint = make("span", { class: "chatix-waiting", role: "status" });
  readonly #error = make("p", { class: "chatix-error", role: "alert", hidden: true });
  #message: ThreadMessage;
  #messageChars = 0;
  #editor: CommentEditor | null = null;
  #task: Task | null = null;
  #trying: Task | null = null;
  #isAllowed = false;
  #isGone = false;

  /** @param article Where the comment is shown. */
  constructor(article: HTMLElement, message: ThreadMessage, changer: Changer) {
    this.#article = article;
    this.#message = message;
    this.#changer = changer;
    this.#question = make(
      "div",
      { class: "chatix-question", role: "group", hidden: true },
      make("span", {}, strings.deleteQuestion),
      this.#confirm,
      this.#keep,
      this.#hint,
    );
    this.#element.append(this.#buttons, this.#question, this.#error);
    article.append(this.#element);
    this.#edit.addEventListener("click", () => this.#open());
    this.#delete.addEventListener("click", () => this.#ask());
    this.#confirm.addEventListener("click", () => this.#remove());
    this.#keep.addEventListener("click", () => this.#callOff());
    this.#question.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#callOff();
    });
  }

  /** Whether something is in the box, so that the article stays though its comment is gone. */
  get isEditing(): boolean {
    return this.#editor !== null;
  }

  /**
   * Show what can be done with the message as it is now.
   *
   * @param label What is acted on, for those who do not see under what the buttons stand.
   */
  update(message: ThreadMessage, label: string, messageChars: number): void {
    this.#message = message;
    this.#messageChars = messageChars;
    this.#edit.hidden = message.file !== null;
    this.#edit.setAttribute("aria-label", `${strings.edit} ${label}`);
    for (const element of [this.#delete, this.#question, this.#confirm])
      element.setAttribute("aria-label", `${strings.delete} ${label}`);
    this.#isAllowed = true;
    this.#showButtons();
    this.#compare();
  }

  /** The time is over: no buttons any more, but what is being typed stays. */
  expire(): void {
    this.#isAllowed = false;
    if (!this.#question.hidden && !this.#task) this.#close();
    this.#showButtons();
  }

  /** The comment has gone while somebody was at it. */
  orphan(): void {
    this.#isGone = true;
    this.#task = null;
    this.#editor?.orphan(strings.deletedMeanwhile);
  }

  /** Nothing of this is the reader's business any more. */
  dispose(): void {
    this.#task = null;
    this.#isAllowed = false;
    this.#close();
    this.#element.remove();
  }

  /** The line is back: try again what it broke off. */
  resume(): void {
    if (this.#task && !this.#trying) void this.#try(this.#task);
  }

  #showButtons(): void {
    const hadFocus = this.#buttons.contains(document.activeElement);
    this.#buttons.hidden = !this.#isAllowed || this.#editor !== null || !this.#question.hidden;
    if (hadFocus && this.#buttons.hidden) focusQuietly(this.#article);
  }

  // Editing

  #open(): void {
    this.#say("");
    const label = this.#edit.getAttribute("aria-label") ?? strings.edit;
    this.#editor = new CommentEditor(this.#message.text, label, this.#messageChars, {
      save: (text) => this.#start({ kind: "edit", text }),
      cancel: () => this.#forget(),
    });
    this.#article.classList.add("chatix-editing");
    this.#element.prepend(this.#editor.element);
    this.#editor.focus();
    this.#showButtons();
  }

  /** Somebody else may have changed the comment meanwhile, or our change arrived and its answer did not. */
  #compare(): void {
    const editor = this.#editor;
    if (!editor) return;
    const { text } = this.#message;
    if (this.#task?.kind === "edit" && text === this.#task.text) this.#forget();
    else if (text !== editor.before) {
      this.#article.classList.add("chatix-changed");
      editor.note(strings.changedMeanwhile);
    }
  }

  // Deleting

  #ask(): void {
    this.#say("");
    this.#question.hidden = false;
    // Not on the one that deletes: a key that was pressed twice must not be an answer.
    this.#keep.focus();
    this.#showButtons();
  }

  #remove(): void {
    if (!this.#task) this.#start({ kind: "remove" });
  }

  /** What is on its way cannot be called back. */
  #callOff(): void {
    if (!this.#trying) this.#forget();
  }

  // Both

  #start(task: Task): void {
    this.#task = task;
    void this.#try(task);
  }

  async #try(task: Task): Promise<void> {
    this.#trying = task;
    this.#show("saving");
    try {
      if (task.kind === "edit") await this.#changer.edit(this.#message.id, task.text);
      else await this.#changer.remove(this.#message.id);
      this.#settle(task, () => this.#forget());
    } catch (error) {
      const isRefused = error instanceof RefusedError;
      this.#settle(task, () => (isRefused ? this.#refuse(error.message) : this.#show("waiting")));
    } finally {
      if (this.#trying === task) this.#trying = null;
    }
  }

  /** What was called off, or belongs to another comment by now, is settled already. */
  #settle(task: Task, action: () => void): void {
    if (this.#task === task) action();
  }

  #show(state: "saving" | "waiting"): void {
    if (this.#editor) this.#editor.show(state);
    else this.#showDeleting(state);
  }

  #showDeleting(state: "saving" | "waiting"): void {
    this.#confirm.setAttribute("aria-disabled", "true");
    this.#confirm.textContent = state === "saving" ? strings.deleting : strings.delete;
    this.#hint.textContent = state === "waiting" ? strings.willBeDeleted : "";
  }

  #refuse(reason: string): void {
    this.#task = null;
    if (this.#editor) this.#editor.fail(reason);
    else {
      this.#close();
      this.#say(reason);
    }
  }

  /** Put the buttons back, and the keyboard to the one that it came from. */
  #forget(): void {
    this.#task = null;
    if (this.#isGone) this.#leave();
    else this.#close();
  }

  #close(): void {
    const hadFocus = this.#element.contains(document.activeElement);
    const button = this.#editor ? this.#edit : this.#delete;
    this.#editor?.element.remove();
    this.#editor = null;
    this.#article.classList.remove("chatix-editing", "chatix-changed");
    this.#question.hidden = true;
    this.#confirm.removeAttribute("aria-disabled");
    this.#confirm.textContent = strings.delete;
    this.#hint.textContent = "";
    this.#showButtons();
    if (hadFocus) focusQuietly(this.#buttons.hidden ? this.#article : button);
  }

  /** The article was kept for what was typed; now it goes the way of its comment. */
  #leave(): void {
    const neighbour = this.#article.nextElementSibling ?? this.#article.previousElementSibling;
    const hadFocus = this.#article.contains(document.activeElement);
    this.#article.remove();
    if (hadFocus) focusQuietly(neighbour);
  }

  #say(reason: string): void {
    this.#error.textContent = reason;
    this.#error.hidden = reason === "";
  }
}
