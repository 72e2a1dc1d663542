/** The form as it stands until somebody writes: name, text, the control for files, and the button. */

import { make } from "./dom";
import { strings } from "./i18n";
import { managerBadge } from "./marks";
import type { SaidLimits, Visitor } from "./site";

export class CommentForm {
  readonly name = make("input", {
    class: "chatix-input",
    type: "text",
    autocomplete: "name",
    name: "name",
    dir: "auto",
    required: true,
  });
  readonly text = make("textarea", {
    class: "chatix-input",
    rows: "3",
    name: "text",
    dir: "auto",
    required: true,
    placeholder: strings.write,
  });
  readonly label = make("span", { class: "chatix-label chatix-hidden-label" }, strings.write);
  readonly files = make("input", { class: "chatix-file-input", type: "file", multiple: true });
  readonly attach = make("label", { class: "chatix-attach", hidden: true }, strings.attach, this.files);
  readonly button = make("button", { class: "chatix-post", type: "submit" }, strings.post);
  readonly actions = make("div", { class: "chatix-actions" }, this.attach, this.button);
  readonly element: HTMLFormElement;
  readonly #nameField = field(make("span", { class: "chatix-label" }, strings.name), this.name);
  readonly #identity = make("p", { class: "chatix-identity", hidden: true });
  visitor: Visitor | null = null;
  limits: SaidLimits = {};
  isManager = false;
  #mayPost = true;
  /** Hears that any of it has changed. */
  changed: () => void = () => {};

  constructor() {
    const parts = [this.#nameField, this.#identity, field(this.label, this.text), this.actions];
    this.element = make("form", { class: "chatix-form", novalidate: true }, ...parts);
  }

  /** Whether there is any use in posting; what was typed stays to be copied. */
  get mayPost(): boolean {
    return this.#mayPost;
  }

  set mayPost(mayPost: boolean) {
    this.#mayPost = mayPost;
    this.#arrange();
  }

  /** Show what this visitor needs: guests give a name, users of the site have one. */
  setVisitor(visitor: Visitor, limits: SaidLimits): void {
    this.visitor = visitor;
    this.limits = limits;
    const isGuest = !visitor.isSignedIn;
    this.#nameField.hidden = !isGuest;
    this.#identity.hidden = isGuest;
    // A name that is being typed is the reader's; one that the site remembers fills an empty field only.
    if (isGuest && visitor.name && !this.name.value) this.name.value = visitor.name;
    this.#arrange();
  }

  setManager(isManager: boolean): void {
    this.isManager = isManager;
    this.#arrange();
  }

  #arrange(): void {
    const name = make("b", {}, make("bdi", {}, this.visitor?.name ?? ""));
    const badge = this.isManager ? [" ", managerBadge()] : [];
    this.#identity.replaceChildren(`${strings.commentingAs} `, name, ...badge);
    this.button.hidden = !this.#mayPost;
    this.attach.hidden = !(this.#mayPost && this.limits.files);
    this.changed();
  }
}

function field(label: HTMLElement, input: HTMLElement): HTMLElement {
  return make("label", { class: "chatix-field" }, label, input);
}
