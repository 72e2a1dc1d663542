/** What makes reading calm: nothing moves, what is new is marked and counted, and links lead to their comments. */

import { LastVisit } from "./last-visit";
import { NewComments } from "./new-comments";
import { Permalink } from "./permalink";
import { keepPlace } from "./reading-place";
import type { SectionFrame } from "./section-frame";
import { type Access, placeOf } from "./site";
import type { ThreadSync } from "./thread-sync";
import type { ThreadView } from "./thread-view";

export class Reading {
  readonly #thread: ThreadSync;
  readonly #view: ThreadView;
  readonly #form: HTMLElement;
  readonly #frame: SectionFrame;
  readonly #lastVisit = new LastVisit();
  readonly #news: NewComments;
  readonly #permalink: Permalink;
  #listening = new AbortController();

  /** @param loadEarlier Fetches the page before the oldest comment, and renders it. */
  constructor(
    thread: ThreadSync,
    view: ThreadView,
    form: HTMLElement,
    frame: SectionFrame,
    loadEarlier: () => Promise<void>,
  ) {
    this.#thread = thread;
    this.#view = view;
    this.#form = form;
    this.#frame = frame;
    this.#news = new NewComments((id) => view.articleOf(id));
    this.#permalink = new Permalink({
      articleOf: (id) => view.articleOf(id),
      get hasOlder() {
        return thread.state.hasOlder;
      },
      loadEarlier,
    });
    view.element.after(this.#news.element);
  }

  /** The page shows the section. */
  start(): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const follow = () => {
      this.#permalink.renew();
      void this.#permalink.follow();
    };
    addEventListener("hashchange", follow, { signal });
  }

  /** The page goes away. */
  stop(): void {
    this.#listening.abort();
    this.#lastVisit.close();
  }

  /** Say which thread it is, to a reader who is known again. */
  open(access: Access): void {
    this.#lastVisit.open(placeOf(access));
  }

  /** Nothing is missing any more. */
  live(): void {
    void this.#permalink.follow();
  }

  /** Bring the page in step with the thread. */
  render(): void {
    const { state, total, hasLoaded } = this.#thread;
    const { list, selfId } = this.#view;
    keepPlace(list, this.#form, this.#frame.region, () => {
      this.#view.render(state);
      this.#lastVisit.show(state.messages, selfId, (id) => this.#view.articleOf(id));
    });
    if (hasLoaded) this.#news.note(state.messages, selfId);
    else this.#news.reset();
    this.#frame.count = hasLoaded ? total : null;
  }
}
