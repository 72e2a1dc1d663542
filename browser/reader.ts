/** Who reads, as site and service have said it, and what the parts of the section make of that. */

import type { Chat } from "./sdk/chat";
import type { Access, Visitor } from "./site";
import type { ThreadView } from "./thread-view";
import type { Writer } from "./writer";

export class Reader {
  readonly #view: ThreadView;
  readonly #writer: Writer;
  readonly #now: () => Date | null;
  #access: Access | null = null;
  #visitor: Visitor | null = null;
  #selfId: string | null = null;
  /** Whether the hub has said so; what the site says is only a hope. */
  #isManager = false;
  /** Whether files can be posted: a widget has to be asked first. */
  #takesFiles = false;
  #isClosed = false;

  /** @param now What time it is for the service; `null` where it does not say. */
  constructor(view: ThreadView, writer: Writer, now: () => Date | null) {
    this.#view = view;
    this.#writer = writer;
    this.#now = now;
  }

  get access(): Access | null {
    return this.#access;
  }

  get visitor(): Visitor | null {
    return this.#visitor;
  }

  get isManager(): boolean {
    return this.#isManager;
  }

  get pageSize(): number {
    return this.#access?.limits.page_size ?? 30;
  }

  /** Only readers who are known again anyway leave a trace in the browser. */
  get isKnownAgain(): boolean {
    return this.#access?.mode === "hosted" || this.#visitor?.isPersistent === true;
  }

  /** The site lets the reader in. */
  admit(access: Access): void {
    this.#access = access;
    this.#takesFiles ||= access.sdk === "bundled";
    this.become(access.visitor);
  }

  /** The service knows the reader. */
  meet(chat: Chat): void {
    this.#takesFiles = chat.takesFiles;
    this.#recognize(chat.selfId);
    if (this.#visitor) this.become({ ...this.#visitor, name: this.#visitor.name || chat.selfName });
  }

  /** The site says who the reader is now. */
  become(visitor: Visitor): void {
    this.#visitor = visitor;
    if (visitor.id) this.#recognize(visitor.id);
    const limits = this.#access?.limits;
    if (limits) this.#writer.form.setVisitor(visitor, this.#takesFiles ? limits : { ...limits, files: 0 });
  }

  set isManager(isManager: boolean) {
    this.#isManager = isManager;
    this.#writer.setManager(isManager);
    this.#showTools();
  }

  /** Whether the thread is read-only: then nothing can be changed either. */
  set isClosed(isClosed: boolean) {
    this.#isClosed = isClosed;
    this.#showTools();
  }

  #recognize(id: string | null): void {
    this.#selfId = id;
    this.#view.selfId = id;
    this.#showTools();
  }

  /** Under each comment, what the reader may do with it. */
  #showTools(): void {
    const limits = this.#access?.limits;
    if (!limits) return;
    this.#writer.viewer = {
      selfId: this.#selfId,
      isManager: this.#isManager,
      isClosed: this.#isClosed,
      limits,
      now: this.#now,
    };
  }
}
