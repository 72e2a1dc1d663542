/** A comment section that runs: glues state, view, form, connection and ledger together. */

import { Composer } from "./composer";
import { Connector, type LineState } from "./connector";
import { make } from "./dom";
import { entryStrings, strings } from "./i18n";
import { newKey, Outbox, type OutboxState, type Outcome, type Pending } from "./outbox";
import { type LedgerEntry, RoomLedger } from "./room-ledger";
import { type Chat, LineError, RefusedError } from "./sdk/chat";
import { newChat } from "./sdk/new-chat";
import type { Cursor } from "./sdk/wire";
import { type Access, Site, SiteError, type Visitor } from "./site";
import { type ThreadMessage, ThreadState } from "./thread-state";
import { ThreadView } from "./thread-view";

export { leaveRooms } from "./leave-rooms";

/** Pages of history that are compared, on services without a list of changes, before a gap is given up. */
const MOST_PAGES_COMPARED = 10;
const RETRY_SITE_MS = 3000;

export class Section {
  readonly #site: Site;
  readonly #ledger = new RoomLedger(newKey());
  #state = new ThreadState();
  readonly #view: ThreadView;
  readonly #composer: Composer;
  readonly #outbox: Outbox;
  readonly #connector: Connector;
  readonly #status = make("p", { class: "chatix-status", role: "status" });
  readonly #notice = make("p", { class: "chatix-notice", role: "alert", hidden: true });
  readonly #closedNote = make("p", { class: "chatix-note", hidden: true }, strings.closed);
  readonly #isClosedByPage: boolean;
  #access: Access | null = null;
  #visitor: Visitor | null = null;
  #isClosed = false;
  #hasLoaded = false;
  #cursor: Cursor | null = null;
  /** The last connection that joined; it is what a beacon withdraws, also when the line is down by then. */
  #connectionId: string | null = null;
  #going = new AbortController();

  constructor(host: HTMLElement) {
    this.#isClosedByPage = host.hasAttribute("data-closed");
    this.#site = new Site(host.dataset.endpoint ?? "", host.dataset.post ?? "");
    this.#view = new ThreadView(() => this.#loadEarlier());
    this.#composer = new Composer((draft) => void this.#outbox.submit(draft));
    this.#outbox = new Outbox(
      (pending) => this.#deliver(pending),
      (state, previous) => this.#onOutbox(state, previous),
    );
    const listener = {
      received: this.#changing((message: ThreadMessage) => this.#state.add(message)),
      updated: this.#changing((message: ThreadMessage) => this.#state.update(message)),
      deleted: this.#changing((id: string) => this.#state.remove(id)),
      closedChanged: (isClosed: boolean) => this.#setClosed(isClosed),
    };
    this.#connector = new Connector(this.#site, newChat, listener, {
      stateChanged: (state) => this.#showState(state),
      admitted: (access) => this.#onAdmitted(access),
      catchUp: (chat) => this.#catchUp(chat),
      live: (chat) => this.#onLive(chat),
      failed: (error) => this.#showTrouble(error),
    });
    this.#mount(host);
  }

  /** Connect, or come back after `depart` or `close`; does nothing when that is so already. */
  start(): void {
    if (this.#going.signal.aborted) this.#going = new AbortController();
    this.#view.startClock();
    this.#connector.start();
  }

  /** The page goes away, perhaps into the back-forward cache: leave and release everything at once. */
  depart(): void {
    const chat = this.#halt();
    const leaves = this.#mayLeave();
    this.#clearLedger(chat);
    chat?.depart(leaves);
    // The beacon covers what the socket does not get across any more; it names this connection only.
    if (leaves) this.#beacon();
  }

  /** The element goes away, the page stays: there is time to hear the leave acknowledged. */
  close(): void {
    const chat = this.#halt();
    const leaves = this.#mayLeave();
    this.#clearLedger(chat);
    if (chat && leaves) {
      const left = chat.leave().catch(() => this.#beacon());
      void left.then(() => chat.depart(false));
    } else {
      chat?.depart(false);
      if (leaves) this.#beacon();
    }
  }

  #halt(): Chat | null {
    this.#going.abort();
    this.#view.stopClock();
    return this.#connector.halt();
  }

  /** On the hosted service a leave takes the visitor out for all tabs; on our hub only this connection. */
  #mayLeave(): boolean {
    const access = this.#access;
    return access !== null && (access.mode === "hub" || !this.#ledger.isShownElsewhere(access));
  }

  #beacon(): void {
    const connectionId = this.#connectionId;
    if (this.#access?.mode !== "hub" || !connectionId) return;
    this.#connectionId = null;
    this.#site.leave([{ chatroomId: this.#access.chatroomId, connectionId }]);
  }

  /** On the hosted service, what could not be said over an open line is left to the next start. */
  #clearLedger(chat: Chat | null): void {
    if (this.#access?.mode === "hosted" && !chat?.connectionId) this.#ledger.stop();
    else this.#ledger.erase();
  }

  #mount(host: HTMLElement): void {
    const region =
      host.querySelector("section") ??
      make("section", { class: "chatix-section", "aria-label": entryStrings.region });
    if (!region.isConnected) host.append(region);
    for (const old of region.querySelectorAll(".chatix-note, .chatix-body, .chatix-status")) old.remove();
    this.#composer.element.hidden = true;
    const body = make(
      "div",
      { class: "chatix-body" },
      this.#notice,
      this.#view.element,
      this.#closedNote,
      this.#composer.element,
    );
    region.append(this.#status, body);
  }

  #changing<T>(change: (value: T) => void): (value: T) => void {
    return (value) => {
      change(value);
      if (this.#hasLoaded) this.#render();
    };
  }

  #render(): void {
    this.#view.render(this.#state);
  }

  #showState(state: LineState): void {
    this.#status.textContent = strings[state];
    this.#status.dataset.state = state;
  }

  // The connection's steps

  async #onAdmitted(access: Access): Promise<void> {
    if (this.#access && !isSameRoom(access, this.#access)) this.#forgetThread();
    this.#access = access;
    this.#setVisitor(access.visitor);
    this.#setClosed(access.isClosed);
    await this.#ledger.hold(access);
  }

  /** The post has another chatroom than before: what is on the page belongs to the old one. */
  #forgetThread(): void {
    this.#state = new ThreadState();
    this.#hasLoaded = false;
    this.#cursor = null;
  }

  #onLive(chat: Chat): void {
    this.#notice.hidden = true;
    this.#view.selfId = chat.selfId;
    if (this.#visitor && !this.#visitor.name) this.#setVisitor({ ...this.#visitor, name: chat.selfName });
    this.#writeLedger();
    void this.#settleOutbox(chat);
  }

  #showTrouble(error: unknown): void {
    const isFinal = error instanceof SiteError && error.kind === "refused";
    const fallback = isFinal ? strings.refused : strings.unavailable;
    const isSilent =
      error instanceof LineError || (error instanceof SiteError && error.kind === "unreachable");
    // The status tells of a broken line; while a thread is on the page, no more needs to be said.
    if (isSilent && this.#hasLoaded) return;
    const said = error instanceof SiteError || error instanceof RefusedError ? error.message : "";
    this.#notice.textContent = isSilent || !said ? fallback : said;
    this.#notice.hidden = false;
  }

  #setVisitor(visitor: Visitor): void {
    this.#visitor = visitor;
    if (visitor.id) this.#view.selfId = visitor.id;
    if (this.#access) this.#composer.setVisitor(visitor, this.#access.limits);
  }

  #setClosed(isClosed: boolean): void {
    this.#isClosed = isClosed || this.#isClosedByPage;
    // What somebody is writing stays on the page, even if it cannot be posted any more.
    this.#composer.element.hidden = this.#isClosed && !this.#composer.hasText;
    this.#closedNote.hidden = !this.#isClosed;
  }

  /** Only readers who are known again anyway leave a trace in the browser. */
  #writeLedger(): void {
    const access = this.#access;
    const chat = this.#connector.liveChat;
    if (!access || !chat || !(access.mode === "hosted" || this.#visitor?.isPersistent)) return;
    const { mode, apiUrl, websiteId, chatroomId } = access;
    const { connectionId } = chat;
    const entry: LedgerEntry = {
      mode,
      endpoint: this.#site.endpoint,
      apiUrl,
      websiteId,
      chatroomId,
      connectionId,
    };
    this.#ledger.write(entry);
  }

  // What others wrote

  async #catchUp(chat: Chat): Promise<void> {
    this.#connectionId = chat.connectionId;
    if (!this.#hasLoaded) await this.#loadNewest(chat);
    else if (chat.isGapProof) await this.#applyChanges(chat);
    else await this.#comparePages(chat);
    this.#render();
    this.#view.startAnnouncing();
  }

  async #loadNewest(chat: Chat): Promise<void> {
    const { cursor } = await this.#loadPage(chat, null);
    this.#cursor = cursor;
    this.#hasLoaded = true;
  }

  async #loadEarlier(): Promise<void> {
    const chat = this.#connector.liveChat;
    if (!chat) throw new LineError("There is no connection.", false);
    await this.#loadPage(chat, this.#state.oldestId);
    this.#render();
  }

  /** One more than is shown tells whether there are others before. */
  async #loadPage(chat: Chat, beforeId: string | null): Promise<{ cursor: Cursor | null }> {
    const size = Math.min(this.#access?.limits.pageSize ?? 30, 99);
    const { messages, cursor } = await chat.history(beforeId, size + 1);
    const hasOlder = messages.length > size;
    this.#state.addPage(hasOlder ? messages.slice(-size) : messages, hasOlder);
    return { cursor };
  }

  async #applyChanges(chat: Chat): Promise<void> {
    for (;;) {
      const { changes, cursor, hasMore } = await chat.changes(this.#cursor);
      this.#state.applyChanges(changes);
      this.#cursor = cursor;
      if (!hasMore || !changes.length) return;
    }
  }

  async #comparePages(chat: Chat): Promise<void> {
    const before = new Set(this.#state.messages.map((message) => message.id));
    let beforeId: string | null = null;
    for (let page = 0; page < MOST_PAGES_COMPARED; page += 1) {
      const { messages } = await chat.history(beforeId, 50);
      if (this.#state.reconcile(messages, before, messages.length === 50)) return;
      beforeId = messages[0]?.id ?? null;
    }
    if (beforeId) this.#state.forgetBefore(beforeId);
  }

  // What the reader wrote

  async #deliver(pending: Pending): Promise<Outcome> {
    const chat = this.#connector.liveChat;
    if (!chat) return { kind: "interrupted", mayHaveArrived: false };
    try {
      await this.#announce(chat, pending.name);
      this.#state.add(await chat.send(pending.text, pending.clientKey));
      this.#render();
      return { kind: "acknowledged" };
    } catch (error) {
      return this.#outcomeOf(error);
    }
  }

  #outcomeOf(error: unknown): Outcome {
    if (error instanceof LineError) return { kind: "interrupted", mayHaveArrived: error.mayHaveArrived };
    if (!(error instanceof SiteError && error.mayPass)) return { kind: "refused", error };
    // The line may be up while the site is not: then no reconnection will try again.
    setTimeout(() => void this.#outbox.retry(), error.retryAfterMs ?? RETRY_SITE_MS);
    return { kind: "interrupted", mayHaveArrived: false };
  }

  /** Let the others know who writes: by the site, or by the SDK where the site has no say. */
  async #announce(chat: Chat, newName: string | null): Promise<void> {
    if (!chat.isGapProof) {
      const name = newName ?? this.#visitor?.name;
      if (name) await chat.setName(name);
    } else if (newName !== null && !(newName === this.#visitor?.name && this.#visitor.isPersistent)) {
      this.#setVisitor(await this.#site.takePart(newName, this.#going.signal));
      this.#writeLedger();
    }
  }

  /** The line is back: send what waits, or find out what became of it. */
  async #settleOutbox(chat: Chat): Promise<void> {
    const { pending } = this.#outbox;
    if (!pending) return;
    const isSafe = chat.isGapProof || !pending.mayHaveArrived;
    if (isSafe) return this.#outbox.retry();
    const found = this.#state.messages.some(
      (message) => message.senderId === chat.selfId && message.text === pending.text,
    );
    if (found) this.#outbox.acknowledge();
    else this.#outbox.giveBack(null);
  }

  #onOutbox(state: OutboxState, previous: OutboxState): void {
    this.#composer.show(state, previous);
    if (state.kind !== "refused") return;
    const { error } = state;
    if (error === null) this.#composer.fail(strings.notPostedSure);
    else if (error instanceof SiteError && error.kind === "bad-name")
      this.#composer.fail(error.message, "name");
    else if (error instanceof RefusedError) this.#composer.fail(error.message, "text");
    else this.#composer.fail(strings.notPosted);
  }
}

function isSameRoom(a: Access, b: Access): boolean {
  return a.mode === b.mode && a.websiteId === b.websiteId && a.chatroomId === b.chatroomId;
}

/** Make the section of an element; `start` brings it to life. */
export function openSection(host: HTMLElement): Section {
  return new Section(host);
}
