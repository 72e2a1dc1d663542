/** What makes reading calm: nothing moves, what is new is marked and counted, and links lead to their comments. */

import type { LastVisit } from "./last-visit";
import { loadAids } from "./load-aids";
import { loadReturning } from "./load-returning";
import type { NewComments } from "./new-comments";
import type { Permalink } from "./permalink";
import { isOnScreen, keepPlace } from "./reading-place";
import { isTall, mayHaveLinks } from "./rich-text";
import type { SectionFrame } from "./section-frame";
import { type Access, placeOf } from "./site";
import type { ThreadMessage } from "./thread-state";
import type { ThreadSync } from "./thread-sync";
import type { ThreadView } from "./thread-view";

type Aids = NonNullable<typeof loadAids.loaded>;

export class Reading {
  readonly #thread: ThreadSync;
  readonly #view: ThreadView;
  readonly #form: HTMLElement;
  readonly #frame: SectionFrame;
  readonly #loadEarlier: () => Promise<void>;
  #lastVisit: LastVisit | null = null;
  #news: NewComments | null = null;
  #permalink: Permalink | null = null;
  /** What the thread was when the reader last saw all of it, as far as nobody counts. */
  #known: ReadonlySet<string> | null = null;
  /** Whether files are only named, and links are only text, because what shows them has not come. */
  #isCoarse = false;
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
    this.#loadEarlier = loadEarlier;
  }

  /** The page shows the section. */
  start(): void {
    this.#listening.abort();
    this.#listening = new AbortController();
    const follow = () => {
      this.#permalink?.renew();
      this.live();
    };
    addEventListener("hashchange", follow, { signal: this.#listening.signal });
  }

  /** The page goes away. */
  stop(): void {
    this.#listening.abort();
    this.#lastVisit?.close();
  }

  /** Say which thread it is, to a reader who is known again. */
  open(access: Access): void {
    loadReturning().then((part) => {
      this.#lastVisit ??= new part.LastVisit();
      this.#lastVisit.open(placeOf(access));
    }, ignore);
  }

  /** Nothing is missing any more: go where the address leads. */
  live(): void {
    if (!location.hash.startsWith("#comment-")) return;
    this.#withAids((aids) => {
      this.#permalink ??= this.#newPermalink(aids);
      void this.#permalink.follow();
    });
  }

  /**
   * Bring the page in step with the thread.
   *
   * @param done Called when it is.
   */
  render(done: () => void = () => {}): void {
    const { messages } = this.#thread.state;
    const isLoaded = loadAids.loaded !== null;
    // Without the aids these would have other heights. Links have not: they are text until then.
    const mustWait = !isLoaded && messages.some(({ file, text }) => file || isTall(text));
    const isUnlinked = (it: ThreadMessage) =>
      mayHaveLinks(it.text) && (this.#isCoarse || !this.#view.shows(it));
    const hasLinks = !isLoaded && messages.some(isUnlinked);
    const draw = () => {
      this.#draw((mustWait || hasLinks) && !loadAids.loaded);
      done();
    };
    if (mustWait) loadAids().then(draw, draw);
    else {
      draw();
      if (hasLinks) loadAids().then(() => this.#draw(false), ignore);
    }
  }

  #draw(isCoarse: boolean): void {
    const { state, total, hasLoaded } = this.#thread;
    const { list, selfId } = this.#view;
    if (this.#isCoarse && !isCoarse) this.#view.redraw();
    this.#isCoarse = isCoarse;
    keepPlace(list, this.#form, this.#frame.region, () => {
      this.#view.render(state);
      this.#lastVisit?.show(state.messages, selfId, (id) => this.#view.articleOf(id));
    });
    if (hasLoaded) this.#count(state.messages);
    else {
      this.#known = null;
      this.#news?.reset();
    }
    this.#frame.count = hasLoaded ? total : null;
  }

  /** Have somebody count who can, once there is something new that the reader does not see. */
  #count(messages: readonly ThreadMessage[]): void {
    const known = this.#known;
    if (this.#news) this.#news.note(messages, this.#view.selfId);
    else if (known && this.#isNewElsewhere(messages, known)) {
      this.#withAids(({ NewComments }) => {
        if (this.#news) return;
        this.#news = new NewComments((id) => this.#view.articleOf(id), known);
        this.#view.element.after(this.#news.element);
        this.#count(this.#thread.state.messages);
      });
    } else this.#known = new Set(messages.map(({ id }) => id));
  }

  #isNewElsewhere(messages: readonly ThreadMessage[], known: ReadonlySet<string>): boolean {
    for (const { id, senderId } of [...messages].reverse()) {
      if (known.has(id)) return false;
      const article = this.#view.articleOf(id);
      if (senderId !== this.#view.selfId && article && !isOnScreen(article)) return true;
    }
    return false;
  }

  #newPermalink({ Permalink }: Aids): Permalink {
    const thread = this.#thread;
    return new Permalink({
      articleOf: (id) => this.#view.articleOf(id),
      get hasOlder() {
        return thread.state.hasOlder;
      },
      loadEarlier: this.#loadEarlier,
    });
  }

  /** What does not come is asked for again at the next occasion. */
  #withAids(action: (aids: Aids) => void): void {
    if (loadAids.loaded) action(loadAids.loaded);
    else loadAids().then(action, ignore);
  }
}

function ignore(): void {}
