/** The thread on the page: one `article` per message, kept in step with the state. */

import { everyTick } from "./clock";
import { focusQuietly, make } from "./dom";
import { formatAge, formatFully, strings } from "./i18n";
import { loadAids } from "./load-aids";
import { managerBadge, whisperMark } from "./marks";
import { isRich } from "./rich-text";
import type { SharedFile, ThreadMessage, ThreadState } from "./thread-state";

const TONES = 8;
/** How the site marks a comment; a tall one is held until it is folded. */
const SITE_CLASSES: ReadonlySet<string> = new Set(["chatix-comment", "chatix-tall"]);
/** Screen readers look at what has changed some time after it has. */
const QUIET_MS = 1_000;

/** What is put under comments, and may need an article for longer than its comment is there. */
export interface ArticleTools {
  attach(article: HTMLElement, message: ThreadMessage): void;
  /** Return whether the article stays; it then goes by itself. */
  detach(id: string): boolean;
}

interface Entry {
  readonly message: ThreadMessage;
  readonly article: HTMLElement;
}

export class ThreadView {
  readonly element: HTMLElement;
  /** Where the articles are. */
  readonly list = make("div", { class: "chatix-list" });
  readonly #empty = make("p", { class: "chatix-empty", hidden: true }, strings.empty);
  readonly #earlier = make(
    "button",
    { class: "chatix-earlier", type: "button", hidden: true },
    strings.showEarlier,
  );
  readonly #trouble = make("p", { class: "chatix-error", role: "alert", hidden: true });
  readonly #entries = new Map<string, Entry>();
  /** What the site has put on the page, by the ids of its elements, until it is known what the thread is. */
  readonly #rendered = new Map<string, Element>();
  #tools: ArticleTools | null = null;
  #selfId: string | null = null;
  #isCoarse = false;
  #hasAids = false;
  #stopClock: () => void = () => {};
  #quiet: ReturnType<typeof setTimeout> | undefined;

  /** @param loadEarlier Fetches the page before the oldest message, and renders it. */
  constructor(loadEarlier: () => Promise<void>) {
    this.element = make(
      "div",
      { class: "chatix-thread" },
      this.#earlier,
      this.#trouble,
      this.list,
      this.#empty,
    );
    this.#earlier.addEventListener("click", () => {
      if (this.#earlier.getAttribute("aria-disabled") !== "true") void this.#showEarlier(loadEarlier);
    });
  }

  /** Take over what the site has put on the page: it stays where it is, and comes alive with the first `render`. */
  adopt(thread: Element): void {
    this.#earlier.hidden = !thread.querySelector(".chatix-earlier:not([hidden])");
    for (const article of thread.querySelectorAll("article")) {
      if (article.matches(".chatix-whisper, .chatix-gone")) continue;
      makePlain(article);
      this.#rendered.set(article.id, article);
      this.list.append(article);
    }
    this.#empty.hidden = this.#rendered.size > 0;
  }

  /** Say whether the thread is read-only: then nobody is invited to write. */
  set isClosed(isClosed: boolean) {
    this.#empty.textContent = isClosed ? strings.emptyAndClosed : strings.empty;
  }

  /** Say whose comments are marked as the reader's own. */
  set selfId(id: string | null) {
    if (id === this.#selfId) return;
    this.#selfId = id;
    for (const { message, article } of this.#entries.values()) this.#fillByline(article, message);
  }

  get selfId(): string | null {
    return this.#selfId;
  }

  /** Where a comment is on the page. */
  articleOf(id: string): HTMLElement | undefined {
    return this.#entries.get(id)?.article;
  }

  /** Whether a comment is on the page with this text. */
  shows(message: ThreadMessage): boolean {
    const article = this.#entries.get(message.id)?.article ?? this.#rendered.get(elementId(message));
    return article?.querySelector(".chatix-text")?.textContent === message.text;
  }

  /** Have these put under all comments, and under those that come. */
  set tools(tools: ArticleTools) {
    this.#tools = tools;
    for (const { message, article } of this.#entries.values()) tools.attach(article, message);
  }

  /** The next `render` draws anew what it can draw better than before. */
  redraw(): void {
    this.#isCoarse = true;
  }

  /** Bring the page in step with the state; articles that have not changed are not touched. */
  render(state: ThreadState): void {
    if (!this.#hasAids && loadAids.loaded) {
      this.#hasAids = true;
      loadAids.loaded.openImagesInPlace(this.list, this.element);
    }
    const wanted = new Set(state.messages.map((message) => message.id));
    for (const [id, { article }] of this.#entries) {
      if (wanted.has(id)) continue;
      this.#entries.delete(id);
      if (this.#tools?.detach(id)) article.classList.add("chatix-gone");
      else this.#remove(article);
    }
    const wantedHere = new Set(state.messages.map(elementId));
    for (const [id, article] of this.#rendered) if (!wantedHere.has(id)) article.remove();
    let next = skipGone(this.list.firstElementChild);
    for (const message of state.messages) {
      const article = this.#articleFor(message);
      if (article === next) next = skipGone(next.nextElementSibling);
      else this.list.insertBefore(article, next);
    }
    this.#rendered.clear();
    this.#isCoarse = false;
    this.#earlier.hidden = !state.hasOlder;
    this.#empty.hidden = state.messages.length > 0;
  }

  /** Have what comes from now on read out; history is not news. */
  startAnnouncing(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.list.setAttribute("aria-live", "polite"), QUIET_MS);
  }

  #stopAnnouncing(): void {
    clearTimeout(this.#quiet);
    this.list.removeAttribute("aria-live");
  }

  /** What time it is; a service may know that better than this machine. */
  now: () => Date = () => new Date();

  /** Keep "5 minutes ago" true while the section is shown. */
  startClock(): void {
    this.stopClock();
    this.refreshAges();
    this.#stopClock = everyTick(() => this.refreshAges());
  }

  stopClock(): void {
    this.#stopClock();
  }

  /** Whoever is there with the keyboard goes on at the neighbour, not at the top of the page. */
  #remove(article: HTMLElement): void {
    const hadFocus = article.contains(document.activeElement);
    const neighbour = article.nextElementSibling ?? article.previousElementSibling;
    article.remove();
    if (hadFocus) focusQuietly(neighbour ?? this.element);
  }

  #articleFor(message: ThreadMessage): HTMLElement {
    const known = this.#entries.get(message.id);
    if (known?.message === message && !(this.#isCoarse && isRich(message))) return known.article;
    const article = known?.article ?? this.#take(elementId(message)) ?? newArticle(message);
    this.#entries.set(message.id, { message, article });
    fillArticle(article, message, this.#isCoarse);
    loadAids.loaded?.foldIfTall(article, message.file ? "" : message.text);
    this.#fillByline(article, message);
    this.#tools?.attach(article, message);
    return article;
  }

  #take(id: string): HTMLElement | null {
    const article = this.#rendered.get(id);
    return article instanceof HTMLElement ? article : null;
  }

  #fillByline(article: HTMLElement, message: ThreadMessage): void {
    const isOwn = message.senderId === this.#selfId;
    article.classList.toggle("chatix-own", isOwn);
    const parts: Node[] = [authorNode(message)];
    if (message.isFromManager) parts.push(managerBadge());
    if (isOwn) parts.push(make("span", { class: "chatix-you" }, strings.you));
    parts.push(permalink(message));
    if (message.editedAt) parts.push(editedMark(message.editedAt));
    if (message.isWhisper) parts.push(whisperMark());
    article.setAttribute("aria-label", strings.commentBy(authorOf(message)));
    const spaced = parts.flatMap((part) => [part, " "]);
    setByline(article, make("p", { class: "chatix-byline" }, ...spaced.slice(0, -1)));
    this.#refreshAge(article, message);
  }

  /** Say anew how long ago everything was. */
  refreshAges(): void {
    for (const { message, article } of this.#entries.values()) this.#refreshAge(article, message);
  }

  #refreshAge(article: HTMLElement, message: ThreadMessage): void {
    setText(article.querySelector("time"), formatAge(message.sentAt, this.now()));
  }

  async #showEarlier(loadEarlier: () => Promise<void>): Promise<void> {
    const first = this.list.firstElementChild;
    this.#trouble.hidden = true;
    // Not disabled: a button that is loses the focus, and the keyboard its place.
    this.#earlier.setAttribute("aria-disabled", "true");
    this.#earlier.textContent = strings.loadingEarlier;
    this.#stopAnnouncing();
    try {
      await loadEarlier();
    } catch {
      this.#trouble.textContent = strings.cannotLoadEarlier;
      this.#trouble.hidden = false;
    } finally {
      this.#earlier.removeAttribute("aria-disabled");
      this.#earlier.textContent = strings.showEarlier;
      this.startAnnouncing();
    }
    // A button that goes away while it has the focus would send the keyboard back to the top of the page.
    if (this.#earlier.hidden && first?.previousElementSibling) focusQuietly(this.list.firstElementChild);
  }
}

/** What each element is says schema.org, and so does templates/chatix_comments/thread.html, word for word. */
function newArticle(message: ThreadMessage): HTMLElement {
  return make(
    "article",
    {
      class: "chatix-comment",
      id: elementId(message),
      itemscope: true,
      itemtype: "https://schema.org/Comment",
    },
    make("span", { class: "chatix-avatar", "aria-hidden": "true" }),
    make("p", { class: "chatix-byline" }),
    make("div", { class: "chatix-text", dir: "auto", itemprop: "text" }),
  );
}

/** Take off what a section has put on it of which this is a copy: in it, nothing works. */
function makePlain(article: Element): void {
  for (const name of [...article.classList]) if (!SITE_CLASSES.has(name)) article.classList.remove(name);
  for (const part of [...article.children])
    if (!part.matches(".chatix-avatar, .chatix-byline, .chatix-text")) part.remove();
}

const elementId = (message: ThreadMessage): string => `comment-${message.id}`;

function authorNode(message: ThreadMessage): HTMLElement {
  const attributes = {
    class: "chatix-author",
    itemprop: "author",
    itemscope: true,
    itemtype: "https://schema.org/Person",
  };
  return make("bdi", attributes, make("span", { itemprop: "name" }, authorOf(message)));
}

function permalink(message: ThreadMessage): HTMLElement {
  const href = `#comment-${encodeURIComponent(message.id)}`;
  return make("a", { class: "chatix-permalink", itemprop: "url", href }, timeOf(message));
}

/** Articles that stay though their comments are gone keep their place between the others. */
function skipGone(article: Element | null): Element | null {
  return article?.classList.contains("chatix-gone") ? skipGone(article.nextElementSibling) : article;
}

/** What is there already stays: to lay out hundreds of comments anew would hold up the page. */
function setText(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}

/** The same for the byline, but for its time, in the reader's time zone, and its age, which is refreshed anyway. */
function setByline(article: HTMLElement, byline: HTMLElement): void {
  const known = article.querySelector(".chatix-byline");
  const [before, after] = [known, byline].map((it) => it?.querySelector("time"));
  if (before && after) {
    before.title = after.title;
    after.textContent = before.textContent;
  }
  if (!known?.isEqualNode(byline)) known?.replaceWith(byline);
}

/** Text that is there already stays as it is, with the links that the site has made in it. */
function fillArticle(article: HTMLElement, message: ThreadMessage, isCoarse: boolean): void {
  article.classList.toggle("chatix-whisper", message.isWhisper);
  const avatar = article.querySelector<HTMLElement>(".chatix-avatar");
  if (avatar) {
    setText(avatar, initialOf(authorOf(message)));
    avatar.dataset.tone = String(toneOf(message.senderId));
  }
  const body = article.querySelector(".chatix-text");
  const { file, text } = message;
  const isThere = body?.textContent === text && (!isCoarse || body.firstElementChild !== null);
  if (file || !isThere) body?.replaceChildren(contentOf(file, text));
}

/** A file that cannot be shown is named, and links are text. */
function contentOf(file: SharedFile | null, text: string): Node | string {
  const aids = loadAids.loaded;
  if (file) return aids?.fileNode(file) ?? make("bdi", {}, file.name ?? "");
  return aids?.toNodes(text, document) ?? text;
}

const authorOf = (message: ThreadMessage): string => message.senderName?.trim() || strings.anonymous;

function timeOf(message: ThreadMessage): HTMLElement {
  const attributes = {
    class: "chatix-time",
    itemprop: "dateCreated",
    datetime: message.sentAt.toISOString(),
    title: formatFully(message.sentAt),
  };
  return make("time", attributes, formatAge(message.sentAt, new Date()));
}

function editedMark(editedAt: Date): HTMLElement {
  return make("span", { class: "chatix-edited", title: formatFully(editedAt) }, strings.edited);
}

/** The first letter or digit, as the reader sees it: accents and emoji are kept whole. */
export function initialOf(name: string): string {
  const segments =
    "Segmenter" in Intl ? [...new Intl.Segmenter().segment(name)].map((it) => it.segment) : [...name];
  const initial = segments.find((segment) => /\p{L}|\p{N}|\p{Emoji}/u.test(segment));
  return (initial ?? "?").toLocaleUpperCase();
}

/** One of a few colours, always the same for the same person. */
export function toneOf(senderId: string): number {
  let hash = 0;
  for (const character of senderId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return hash % TONES;
}
