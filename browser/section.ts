/** A comment section that runs: glues state, view, form, connection and ledger together. */

import { Connector, isRefusal, type LineState, meansGone, type RoomListener } from "./connector";
import type { Desk } from "./delivery";
import { PageNews } from "./events";
import { strings } from "./i18n";
import { loadReturning } from "./load-returning";
import type { styleLoader } from "./load-style";
import { loadStylesBy } from "./more-style";
import { Reader } from "./reader";
import { Reading } from "./reading";
import { FORMER_FORM, Replacement } from "./replacement";
import { RoomStay } from "./room-stay";
import { type Chat, missingOf, noLine } from "./sdk/chat";
import { loadSdk } from "./sdk/load-sdk";
import { newChat } from "./sdk/new-chat";
import { SectionFrame } from "./section-frame";
import { type Access, Site, SiteError, type Visitor } from "./site";
import { Standing } from "./standing";
import type { ThreadMessage } from "./thread-state";
import { ThreadSync } from "./thread-sync";
import { ThreadView } from "./thread-view";
import { isSilence, noticeOf } from "./trouble";
import { Writer } from "./writer";

export { loadReturning };

export class Section {
  readonly #site: Site;
  readonly #stay: RoomStay;
  readonly #thread = new ThreadSync();
  readonly #view: ThreadView;
  readonly #writer: Writer;
  readonly #connector: Connector;
  readonly #frame: SectionFrame;
  readonly #standing: Standing;
  readonly #reader: Reader;
  readonly #reading: Reading;
  readonly #news: PageNews;
  readonly #replacement: Replacement;
  #going = new AbortController();

  constructor(host: HTMLElement) {
    this.#site = new Site(endpointOf(host), host.dataset.post ?? "");
    this.#stay = new RoomStay(this.#site);
    const loadEarlier = () => this.#loadEarlier();
    const view = new ThreadView(loadEarlier);
    const now = () => this.#connector.chat?.now ?? null;
    view.now = () => now() ?? new Date();
    const writer = new Writer(this.#desk());
    const form = writer.form.element;
    this.#view = view;
    this.#writer = writer;
    this.#reader = new Reader(view, writer, now);
    this.#news = new PageNews(host, (id) => view.articleOf(id));
    this.#connector = new Connector(this.#site, newChat, this.#listener(), {
      stateChanged: (state) => this.#showState(state),
      admitted: (access) => this.#onAdmitted(access),
      catchUp: (chat) => this.#catchUp(chat),
      live: (chat) => this.#onLive(chat),
      failed: (error) => this.#showTrouble(error),
      isAtWork: () => this.#writer.isAtWork,
    });
    const former = host.querySelector<HTMLFormElement>(FORMER_FORM);
    if (former) writer.adopt(former);
    this.#frame = new SectionFrame(host, view, form);
    this.#replacement = new Replacement(host, form);
    this.#standing = new Standing(view, writer, this.#frame, host.hasAttribute("data-closed"));
    this.#reading = new Reading(this.#thread, view, form, this.#frame, loadEarlier);
  }

  /** Connect, or come back after `depart` or `close`; does nothing when that is so already. */
  start(): void {
    if (this.#going.signal.aborted) this.#going = new AbortController();
    this.#replacement.watch();
    this.#view.startClock();
    this.#reading.start();
    this.#writer.start();
    this.#connector.start();
  }

  /** The page goes away, perhaps into the back-forward cache: leave and release everything at once. */
  depart(): void {
    this.#stay.depart(this.#halt());
  }

  /** The element goes away, the page stays: there is time to hear the leave acknowledged. */
  close(): void {
    this.#stay.close(this.#halt());
  }

  #halt(): Chat | null {
    this.#going.abort();
    this.#replacement.stop();
    this.#writer.stop();
    this.#reading.stop();
    this.#view.stopClock();
    return this.#connector.halt();
  }

  #listener(): RoomListener {
    return {
      received: (message) => {
        const isNew = !this.#thread.state.has(message.id);
        this.#thread.add(message);
        this.#show(() => {
          if (isNew && this.#thread.state.has(message.id)) this.#news.tell("received", message);
        });
      },
      updated: (message) => this.#edited(message),
      deleted: (id) => this.#removed(id),
      closedChanged: (isClosed) => this.#setClosed(isClosed),
      goneChanged: (isGone) => this.#onGoneChanged(isGone),
      rightsChanged: (isManager) => this.#onRights(isManager),
      crowdChanged: (count) => {
        this.#frame.readers = count;
      },
    };
  }

  #edited(message: ThreadMessage): void {
    this.#thread.state.update(message);
    this.#show(() => {
      if (this.#thread.state.has(message.id)) this.#news.tell("updated", message);
    });
  }

  #removed(id: string): void {
    const message = this.#thread.state.find(id);
    this.#thread.remove(id);
    this.#show();
    this.#news.tellDeleted(message);
  }

  /** Bring the page in step, once there is a thread. */
  #show(done: () => void = () => {}): void {
    if (this.#thread.hasLoaded) this.#reading.render(done);
    else done();
  }

  #showState(state: LineState): void {
    this.#standing.line = state;
    this.#news.isConnected = state === "live";
  }

  // The connection's steps

  async #onAdmitted(access: Access): Promise<void> {
    const before = this.#reader.access;
    if (before && !isSameRoom(access, before)) this.#thread.forget();
    this.#reader.admit(access);
    this.#noteVisitor(access.visitor);
    if (!access.visitor.isManager) this.#setManager(false);
    this.#setClosed(access.isClosed);
    this.#writer.open(access, access.visitor);
    await this.#stay.begin(access);
  }

  #onLive(chat: Chat): void {
    this.#frame.notice = null;
    this.#frame.isQuiet = false;
    this.#standing.isRefused = false;
    this.#standing.isGone = false;
    this.#reader.meet(chat);
    if (this.#reader.isKnownAgain) this.#stay.note(chat.connectionId);
    this.#writer.settle();
    this.#reading.live();
  }

  #showTrouble(error: unknown): void {
    const standing = this.#standing;
    const isGone = meansGone(error);
    standing.isRefused = isRefusal(error) && !isGone;
    if (standing.isRefused || isGone) this.#writer.giveBack(error);
    this.#frame.isQuiet = error instanceof SiteError && error.kind === "not-set-up";
    // Until the thread is back, what the line does is of no interest.
    standing.isGone = standing.isGone || isGone;
    if (isGone) this.#forgetThread();
    if (standing.isGone) return;
    // The status tells of a broken line; while a thread is on the page, no more needs to be said.
    if (isSilence(error) && !missingOf(error) && this.#thread.hasLoaded) return;
    const keepText = standing.isRefused && this.#writer.hasContent ? ` ${strings.keepText}` : "";
    this.#frame.notice = noticeOf(error) + keepText;
  }

  /** Who is not let in keeps nothing of what there was to read; who is let in again gets it again. */
  #forgetThread(): void {
    this.#thread.forget();
    this.#reading.render();
  }

  /** Who takes part is known again from then on. */
  #noteVisitor(visitor: Visitor): void {
    const { access } = this.#reader;
    if (visitor.isPersistent && access) this.#reading.open(access);
  }

  /** What the reader has seen and written as a manager goes at once when that is over. */
  #setManager(isManager: boolean): void {
    if (!isManager) {
      this.#thread.state.dropWhispers();
    }
    this.#reader.isManager = isManager;
    this.#show();
  }

  #onRights(isManager: boolean): void {
    // There are whispers to fetch first.
    if (isManager) void this.#connector.probe();
    else this.#setManager(false);
  }

  #setClosed(isClosed: boolean): void {
    this.#reader.isClosed = isClosed;
    this.#standing.isClosed = isClosed;
  }

  #onGoneChanged(isGone: boolean): void {
    this.#standing.isGone = isGone;
    // Restored: what has happened to the thread while nobody could see it?
    if (!isGone) void this.#connector.probe();
  }

  // What others wrote

  async #catchUp(chat: Chat): Promise<void> {
    this.#stay.joined(chat.connectionId);
    const { isManager, pageSize } = this.#reader;
    const wasKnown = this.#thread.hasLoaded && !isManager;
    await this.#thread.catchUp(chat, pageSize);
    // Whispers from before are no changes, and some may have been dropped.
    if (wasKnown && chat.isManager) await this.#thread.reload(chat, pageSize);
    this.#setManager(chat.isManager);
    // History is no news: not before all of it is on the page.
    this.#show(() => {
      this.#view.refreshAges();
      this.#view.startAnnouncing();
    });
  }

  async #loadEarlier(): Promise<void> {
    const chat = this.#liveChat();
    await this.#thread.loadEarlier(chat, this.#reader.pageSize);
    this.#setManager(chat.isManager);
    await new Promise<void>((resolve) => this.#show(resolve));
  }

  #liveChat(): Chat {
    const chat = this.#connector.liveChat;
    if (!chat) throw noLine();
    return chat;
  }

  // What the reader wrote

  /** What it takes to write needs. */
  #desk(): Desk {
    return {
      liveChat: () => this.#connector.liveChat,
      visitor: () => this.#reader.visitor,
      state: () => this.#thread.state,
      takePart: async (name, chat) => {
        // From now on the reader is known again: what is kept then is not to come too late for a page that is left at once.
        const [admission] = await Promise.all([
          this.#site.takePart(name, this.#going.signal),
          loadReturning().catch(() => {}),
        ]);
        this.#reader.become(admission.visitor);
        this.#noteVisitor(admission.visitor);
        this.#stay.note(chat.connectionId);
        return admission;
      },
      posted: (message) => {
        this.#thread.add(message);
        this.#reading.render(() => this.#news.tell("posted", message));
      },
      edited: (message) => this.#edited(message),
      removed: (id) => this.#removed(id),
      equip: (tools) => {
        this.#view.tools = tools;
      },
    };
  }
}

/** The element says where the site's views are; one that was written by hand may leave that to the script. */
function endpointOf(host: HTMLElement): string {
  const script = document.querySelector<HTMLScriptElement>("script[data-endpoint]");
  return host.dataset.endpoint ?? script?.dataset.endpoint ?? "";
}

/** When a chatroom becomes private, or public again, its files have other addresses. */
function isSameRoom(a: Access, b: Access): boolean {
  return (["mode", "websiteId", "chatroomId", "isPrivate"] as const).every((key) => a[key] === b[key]);
}

/**
 * Make the section of an element; `start` brings it to life.
 *
 * @param newStyleLoader Loads what comes later looks like.
 */
export function openSection(host: HTMLElement, newStyleLoader?: typeof styleLoader): Section {
  // Beside the site's answer, which is the one that counts: a page in a cache may be older than the setting.
  if (host.dataset.sdk === "hosted") loadSdk().catch(() => {});
  if (newStyleLoader) loadStylesBy(newStyleLoader);
  return new Section(host);
}
