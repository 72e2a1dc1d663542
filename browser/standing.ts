/** How things stand with the thread: whether there is one, whether it can be written to, and how the line to it is. */

import type { LineState } from "./connector";
import { strings } from "./i18n";
import type { SectionFrame } from "./section-frame";
import type { ThreadView } from "./thread-view";
import type { Writer } from "./writer";

export class Standing {
  readonly #view: ThreadView;
  readonly #writer: Writer;
  readonly #frame: SectionFrame;
  readonly #isClosedByPage: boolean;
  #isClosed = false;
  #isRefused = false;
  #isGone = false;
  #line: LineState = "connecting";

  constructor(view: ThreadView, writer: Writer, frame: SectionFrame, isClosedByPage: boolean) {
    this.#view = view;
    this.#writer = writer;
    this.#frame = frame;
    this.#isClosedByPage = isClosedByPage;
  }

  /** Whether we were told no: there is nothing to write to. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** It shows with the next change of `isGone`. */
  set isRefused(isRefused: boolean) {
    this.#isRefused = isRefused;
  }

  /** Whether the chatroom is deleted, or not for us; it may come back. */
  get isGone(): boolean {
    return this.#isGone;
  }

  set isGone(isGone: boolean) {
    this.#isGone = isGone;
    this.#view.element.hidden = isGone;
    if (isGone) this.#frame.notice = null;
    this.#arrange();
    this.line = this.#line;
  }

  /** Whether the thread is read-only. */
  set isClosed(isClosed: boolean) {
    this.#isClosed = isClosed;
    this.#arrange();
  }

  /** Where there are no comments to be had, what the line does is of no interest. */
  set line(line: LineState) {
    this.#line = line;
    if (line !== "live") this.#frame.readers = 0;
    this.#frame.state = this.#isGone ? null : line;
  }

  #arrange(): void {
    this.#frame.freePlace();
    const isReadOnly = this.#isGone || this.#isClosed || this.#isClosedByPage;
    // What somebody is writing stays on the page, even if it cannot be posted any more.
    this.#writer.form.element.hidden = (isReadOnly || this.#isRefused) && !this.#writer.hasContent;
    this.#writer.form.mayPost = !isReadOnly;
    const why = this.#isGone ? strings.gone : strings.closed;
    this.#frame.closedNote = isReadOnly ? why : null;
    this.#view.isClosed = isReadOnly;
  }
}
