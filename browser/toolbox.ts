/**
 * What may be done with comments comes with what it takes to write, for readers who may do any of it.
 *
 * Until then it is noted for whom.
 */

import type { Changer } from "./comment-actions";
import { changeableForMs, type Viewer } from "./comment-rights";
import type { CommentTools } from "./comment-tools";
import { loadWriting } from "./load-writing";
import type { ThreadMessage } from "./thread-state";

/** What is on the page. */
type Shown = Iterable<{ readonly article: HTMLElement; readonly message: ThreadMessage }>;

export class Toolbox {
  readonly #changer: Changer;
  readonly #shown: () => Shown;
  #viewer: Viewer | null = null;
  #tools: CommentTools | null = null;

  constructor(changer: Changer, shown: () => Shown) {
    this.#changer = changer;
    this.#shown = shown;
  }

  /** Say for whom: all comments get what this viewer may do, at once. */
  set viewer(viewer: Viewer) {
    this.#viewer = viewer;
    if (this.#tools) this.#tools.viewer = viewer;
    else for (const { message } of this.#shown()) this.#look(message);
  }

  /** A comment is shown, or shown anew because it has changed. */
  attach(article: HTMLElement, message: ThreadMessage): void {
    if (this.#tools) this.#tools.attach(article, message);
    else this.#look(message);
  }

  /** A comment has gone; return whether its article has to stay, for what is being typed there. */
  detach(id: string): boolean {
    return this.#tools?.detach(id) ?? false;
  }

  /** The line is back: try again what it broke off. */
  resume(): void {
    if (this.#tools) this.#tools.resume();
    else if (this.#viewer) this.viewer = this.#viewer;
  }

  stop(): void {
    this.#tools?.stop();
  }

  #look(message: ThreadMessage): void {
    if (!this.#viewer || changeableForMs(message, this.#viewer) <= 0) return;
    if (loadWriting.loaded) this.#begin(loadWriting.loaded);
    // The next look tries again.
    else
      loadWriting().then(
        (part) => this.#begin(part),
        () => {},
      );
  }

  #begin(part: NonNullable<typeof loadWriting.loaded>): void {
    if (this.#tools) return;
    const tools = new part.CommentTools(this.#changer);
    this.#tools = tools;
    for (const { article, message } of this.#shown()) tools.attach(article, message);
    if (this.#viewer) tools.viewer = this.#viewer;
  }
}
