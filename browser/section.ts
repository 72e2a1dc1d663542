/** A comment section that runs: glues state, view, form, connection and ledger together. */

import { CommentTools } from "./comment-tools";
import { Composer, type Fault } from "./composer";
import { Connector, isRefusal, type LineState, meansGone } from "./connector";
import { make } from "./dom";
import { FileSender } from "./file-sender";
import { entryStrings, strings } from "./i18n";
import { newKey, Outbox, type Outcome, type Pending } from "./outbox";
import { type LedgerEntry, RoomLedger } from "./room-ledger";
import { type Chat, LineError, MissingError, RefusedError } from "./sdk/chat";
import { loadSdk } from "./sdk/load-sdk";
import { newChat } from "./sdk/new-chat";
import { type Access, Site, SiteError, type Visitor } from "./site";
import type { ThreadMessage } from "./thread-state";
import { ThreadSync } from "./thread-sync";
import { ThreadView } from "./thread-view";

export { loadLeftBehind } from "./load-left-behind";

const LOOK_AGAIN_MS = 3000;
/** How an attempt ends of which nobody wants to hear any more. */
const UNWANTED: Outcome = { kind: "refused", error: null, isOfItsOwn: true };

export class Section {
  readonly #site: Site;
  readonly #ledger = new RoomLedger(newKey());
  readonly #thread = new ThreadSync();
  readonly #tools = new CommentTools({
    edit: (id, text) => this.#change(async (chat) => this.#thread.state.update(await chat.edit(id, text))),
    remove: (id) => this.#change(async (chat) => chat.remove(id).then(() => this.#thread.state.remove(id))),
  });
  readonly #view: ThreadView;
  readonly #composer: Composer;
  readonly #outbox: Outbox;
  readonly #files: FileSender;
  readonly #connector: Connector;
  readonly #status = make("p", { class: "chatix-status", role: "status" });
  readonly #notice = make("p", { class: "chatix-notice", role: "alert", hidden: true });
  readonly #closedNote = make("p", { class: "chatix-note", hidden: true });
  readonly #isClosedByPage: boolean;
  /** Keeps the room of the form free until it is known what comes there. */
  #place: Element | null = null;
  #isClosed = false;
  /** Whether we were told no: there is nothing to write to. */
  #isRefused = false;
  /** Whether the chatroom is deleted, or not for us; it may come back. */
  #isGone = false;
  #lineState: LineState = "connecting";
  #access: Access | null = null;
  #visitor: Visitor | null = null;
  /** The name under which the site has admitted this page's guest. */
  #tookPartAs: string | null = null;
  /** Whether the hub has said that the reader is a manager; what the site says is only a hope. */
  #isManager = false;
  /** Whether files can be posted: a widget has to be asked first. */
  #takesFiles = false;
  #selfId: string | null = null;
  /** What was in the thread when the pending comment was first sent. */
  #knownBeforeSend: ReadonlySet<string> = new Set();
  /** The last connection that joined; it is what a beacon withdraws, also when the line is down by then. */
  #connectionId: string | null = null;
  #going = new AbortController();

  constructor(host: HTMLElement) {
    this.#isClosedByPage = host.hasAttribute("data-closed");
    this.#site = new Site(endpointOf(host), host.dataset.post ?? "");
    this.#view = new ThreadView(() => this.#loadEarlier(), this.#tools);
    this.#composer = new Composer(
      (draft) => void this.#outbox.submit(draft),
      (file) => this.#outbox.withdraw(file),
    );
    this.#files = new FileSender((file, part) => this.#composer.showProgress(file, part));
    this.#outbox = new Outbox((pending, signal) => this.#deliver(pending, signal), {
      changed: (state) => this.#composer.show(state),
      acknowledged: (item) => this.#composer.clear(item),
      refused: (item, error) => this.#composer.fail(...faultOf(item, error)),
    });
    const listener = {
      received: this.#changing((message: ThreadMessage) => this.#thread.state.add(message)),
      updated: this.#changing((message: ThreadMessage) => this.#thread.state.update(message)),
      deleted: this.#changing((id: string) => this.#thread.state.remove(id)),
      closedChanged: (isClosed: boolean) => this.#setClosed(isClosed),
      goneChanged: (isGone: boolean) => this.#onGoneChanged(isGone),
      rightsChanged: (isManager: boolean) => this.#onRights(isManager),
    };
    this.#connector = new Connector(this.#site, newChat, listener, {
      stateChanged: (state) => this.#showState(state),
      admitted: (access) => this.#onAdmitted(access),
      catchUp: (chat) => this.#catchUp(chat),
      live: (chat) => this.#onLive(chat),
      failed: (error) => this.#showTrouble(error),
      isAtWork: () => this.#outbox.items.length > 0,
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
    this.#clearLedger(chat);
    const leaves = this.#mayLeave();
    chat?.depart(leaves);
    // The beacon covers what the socket does not get across any more; it names this connection only.
    if (leaves) this.#beacon();
  }

  /** The element goes away, the page stays: there is time to hear the leave acknowledged. */
  close(): void {
    const chat = this.#halt();
    const { entry } = this.#ledger;
    this.#clearLedger(chat);
    const leaves = this.#mayLeave();
    if (chat && leaves) {
      const left = chat.leave().catch(() => {
        this.#beacon();
        // The line that was open was dead: who is known by it alone is taken out at the next start.
        if (entry?.mode === "hosted" && !entry.isBySite) this.#ledger.leaveBehind(entry);
      });
      void left.then(() => chat.depart(false));
    } else {
      chat?.depart(false);
      if (leaves) this.#beacon();
    }
  }

  #halt(): Chat | null {
    this.#going.abort();
    this.#files.stop();
    this.#view.stopClock();
    this.#tools.stop();
    return this.#connector.halt();
  }

  /**
   * On the hosted service a leave takes the visitor out for all tabs; on our hub only this connection.
   *
   * Asked when the own entry is erased: of two tabs that go at once, one at least sees no other.
   */
  #mayLeave(): boolean {
    const access = this.#access;
    return access !== null && (access.mode === "hub" || !this.#ledger.isShownElsewhere(access));
  }

  /** Only the site can do it, and only for a visitor that it knows. */
  #beacon(): void {
    const access = this.#access;
    if (!access || !isBySite(access)) return;
    const connectionId = access.mode === "hub" ? this.#connectionId : null;
    if (access.mode === "hub" && !connectionId) return;
    this.#connectionId = null;
    this.#site.leave([{ chatroomId: access.chatroomId, connectionId }]);
  }

  /** On the hosted service, what could not be said over an open line is left to the next start. */
  #clearLedger(chat: Chat | null): void {
    if (this.#access?.mode === "hosted" && !chat?.isConnected) this.#ledger.stop();
    else this.#ledger.erase();
  }

  #mount(host: HTMLElement): void {
    const region =
      host.querySelector("section") ??
      make("section", { class: "chatix-section", "aria-label": entryStrings.region });
    if (!region.isConnected) host.append(region);
    this.#place = region.querySelector(".chatix-place");
    const rendered = region.querySelector(".chatix-thread");
    if (rendered) this.#view.adopt(rendered);
    for (const old of region.querySelectorAll(".chatix-note, .chatix-body, .chatix-status")) old.remove();
    this.#composer.element.hidden = true;
    const body = make(
      "div",
      { class: "chatix-body" },
      this.#notice,
      this.#view.element,
      this.#closedNote,
      this.#composer.element,
      this.#place ?? "",
    );
    region.append(this.#status, body);
  }

  #changing<T>(change: (value: T) => void): (value: T) => void {
    return (value) => {
      change(value);
      if (this.#thread.hasLoaded) this.#render();
    };
  }

  #render(): void {
    this.#composer.keepInPlace(() => this.#view.render(this.#thread.state));
  }

  #showState(state: LineState): void {
    this.#lineState = state;
    // Where there are no comments to be had, what the line does is of no interest.
    this.#status.textContent = this.#isGone ? "" : strings[state];
    if (this.#isGone) delete this.#status.dataset.state;
    else this.#status.dataset.state = state;
  }

  // The connection's steps

  async #onAdmitted(access: Access): Promise<void> {
    if (this.#access && !isSameRoom(access, this.#access)) this.#thread.forget();
    this.#access = access;
    this.#takesFiles ||= access.sdk === "bundled";
    this.#setVisitor(access.visitor);
    if (!access.visitor.isManager) this.#setManager(false);
    this.#setClosed(access.isClosed);
    await this.#ledger.hold(access);
    // Before the room is joined: a tab that goes meanwhile must not take the visitor out for this one.
    if (access.mode === "hosted") this.#writeLedger(access, null);
  }

  #onLive(chat: Chat): void {
    this.#notice.hidden = true;
    this.#isRefused = false;
    this.#setQuiet(false);
    this.#setGone(false);
    this.#takesFiles = chat.takesFiles;
    this.#setSelf(chat.selfId);
    if (this.#visitor) this.#setVisitor({ ...this.#visitor, name: this.#visitor.name || chat.selfName });
    if (this.#isKnownAgain) this.#writeLedger(this.#access, chat.connectionId);
    this.#settleOutbox();
    this.#tools.resume();
  }

  #showTrouble(error: unknown): void {
    const isGone = meansGone(error);
    this.#isRefused = isRefusal(error) && !isGone;
    if (this.#isRefused || isGone) void this.#outbox.giveBack(error);
    this.#setQuiet(error instanceof SiteError && error.kind === "not-set-up");
    // Until the thread is back, what the line does is of no interest.
    this.#setGone(this.#isGone || isGone);
    if (isGone) this.#forgetThread();
    if (this.#isGone) return;
    const isSilent =
      error instanceof LineError || (error instanceof SiteError && error.kind === "unreachable");
    // The status tells of a broken line; while a thread is on the page, no more needs to be said.
    if (isSilent && !(error instanceof MissingError) && this.#thread.hasLoaded) return;
    // What the site says is for readers; a chat service speaks of chatrooms.
    const said = error instanceof SiteError && !isSilent ? error.message : "";
    const notice = said || strings[troubleOf(error)];
    const keepText = this.#isRefused && this.#composer.hasContent ? ` ${strings.keepText}` : "";
    this.#notice.textContent = notice + keepText;
    this.#notice.hidden = false;
  }

  /** Who is not let in keeps nothing of what there was to read; who is let in again gets it again. */
  #forgetThread(): void {
    this.#thread.forget();
    this.#render();
  }

  /** Where no chat is set up, the section says so once and does not look like one that tries to connect. */
  #setQuiet(isQuiet: boolean): void {
    this.#status.hidden = isQuiet;
    this.#notice.setAttribute("role", isQuiet ? "note" : "alert");
  }

  #setVisitor(visitor: Visitor): void {
    this.#visitor = visitor;
    if (visitor.id) this.#setSelf(visitor.id);
    const limits = this.#access?.limits;
    if (limits) this.#composer.setVisitor(visitor, this.#takesFiles ? limits : { ...limits, files: null });
  }

  #setSelf(id: string | null): void {
    this.#selfId = id;
    this.#view.selfId = id;
    this.#showTools();
  }

  /** What the reader has seen and written as a manager goes at once when that is over. */
  #setManager(isManager: boolean): void {
    this.#isManager = isManager;
    if (!isManager) {
      this.#thread.state.dropWhispers();
      this.#outbox.withdrawWhispers();
    }
    this.#composer.setManager(isManager);
    this.#showTools();
    if (this.#thread.hasLoaded) this.#render();
  }

  #onRights(isManager: boolean): void {
    // There are whispers to fetch first.
    if (isManager) void this.#connector.probe();
    else this.#setManager(false);
  }

  /** Under each comment, what the reader may do with it. */
  #showTools(): void {
    const limits = this.#access?.limits;
    if (!limits) return;
    this.#tools.viewer = {
      selfId: this.#selfId,
      isManager: this.#isManager,
      isClosed: this.#isClosed,
      editWindowMs: limits.editWindowMs,
      messageChars: limits.messageChars,
      now: () => this.#connector.chat?.now ?? null,
    };
  }

  #setClosed(isClosed: boolean): void {
    this.#isClosed = isClosed;
    this.#showTools();
    this.#arrangeForm();
  }

  #setGone(isGone: boolean): void {
    this.#isGone = isGone;
    this.#view.element.hidden = isGone;
    if (isGone) this.#notice.hidden = true;
    this.#arrangeForm();
    this.#showState(this.#lineState);
  }

  #onGoneChanged(isGone: boolean): void {
    this.#setGone(isGone);
    // Restored: what has happened to the thread while nobody could see it?
    if (!isGone) void this.#connector.probe();
  }

  #arrangeForm(): void {
    this.#place?.remove();
    const isReadOnly = this.#isGone || this.#isClosed || this.#isClosedByPage;
    // What somebody is writing stays on the page, even if it cannot be posted any more.
    this.#composer.element.hidden = (isReadOnly || this.#isRefused) && !this.#composer.hasContent;
    this.#composer.mayPost = !isReadOnly;
    this.#closedNote.textContent = this.#isGone ? strings.gone : strings.closed;
    this.#closedNote.hidden = !isReadOnly;
    this.#view.isClosed = isReadOnly;
  }

  /** Only readers who are known again anyway leave a trace in the browser. */
  get #isKnownAgain(): boolean {
    return this.#access?.mode === "hosted" || this.#visitor?.isPersistent === true;
  }

  #writeLedger(access: Access | null, connectionId: string | null): void {
    if (!access) return;
    const { mode, sdk, apiUrl, websiteId, chatroomId } = access;
    const entry: LedgerEntry = {
      mode,
      sdk,
      endpoint: this.#site.endpoint,
      apiUrl,
      websiteId,
      chatroomId,
      connectionId,
      isBySite: isBySite(access),
    };
    this.#ledger.write(entry);
  }

  // What others wrote

  get #pageSize(): number {
    return this.#access?.limits.pageSize ?? 30;
  }

  async #catchUp(chat: Chat): Promise<void> {
    this.#connectionId = chat.connectionId;
    const wasKnown = this.#thread.hasLoaded && !this.#isManager;
    await this.#thread.catchUp(chat, this.#pageSize);
    // Whispers from before are no changes, and some may have been dropped.
    if (wasKnown && chat.isManager) await this.#thread.reload(chat, this.#pageSize);
    this.#setManager(chat.isManager);
    this.#view.startAnnouncing();
  }

  async #loadEarlier(): Promise<void> {
    const chat = this.#liveChat();
    await this.#thread.loadEarlier(chat, this.#pageSize);
    this.#setManager(chat.isManager);
  }

  #liveChat(): Chat {
    const chat = this.#connector.liveChat;
    if (!chat) throw new LineError("There is no connection.", false);
    return chat;
  }

  // What the reader wrote

  async #deliver(pending: Pending, signal: AbortSignal): Promise<Outcome> {
    if (!pending.mayHaveArrived)
      this.#knownBeforeSend = new Set(this.#thread.state.messages.map(({ id }) => id));
    try {
      await this.#announce(this.#liveChat(), pending.name);
      // The site may have taken its time: is it still to be posted, and what is the line by now?
      signal.throwIfAborted();
      this.#thread.state.add(await this.#send(pending, signal));
      this.#render();
      return { kind: "acknowledged" };
    } catch (error) {
      return signal.aborted ? UNWANTED : this.#outcomeOf(error, pending);
    }
  }

  #send({ text, file, isWhisper, clientKey }: Pending, signal: AbortSignal): Promise<ThreadMessage> {
    if (file) return this.#files.send(file, () => this.#liveChat(), signal);
    const chat = this.#liveChat();
    return isWhisper ? chat.whisper(text, clientKey) : chat.send(text, clientKey);
  }

  /** Change a comment, here too; what the line broke off is tried again when there is one. */
  async #change(change: (chat: Chat) => Promise<void>): Promise<void> {
    try {
      await change(this.#liveChat());
    } catch (error) {
      if (error instanceof LineError) setTimeout(() => this.#resumeChanges(), LOOK_AGAIN_MS);
      throw error;
    }
    this.#render();
  }

  #resumeChanges(): void {
    if (this.#connector.liveChat) this.#tools.resume();
  }

  #outcomeOf(error: unknown, { file }: Pending): Outcome {
    const mayPass = error instanceof LineError || (error instanceof SiteError && error.mayPass);
    // What the hub says of one file need not hold for the next; what the site says of a name does.
    if (!mayPass) return { kind: "refused", error, isOfItsOwn: file !== null && isOfTheComment(error) };
    // Usually the next line settles it; but this one may be up by then, or have been up all the time.
    const delayMs = error instanceof SiteError ? (error.retryAfterMs ?? LOOK_AGAIN_MS) : LOOK_AGAIN_MS;
    setTimeout(() => this.#settleOutbox(), delayMs);
    return { kind: "interrupted", mayHaveArrived: error instanceof LineError && error.mayHaveArrived };
  }

  /** Let the others know who writes: by the site, and by the SDK where the site has no say. */
  async #announce(chat: Chat, newName: string | null): Promise<void> {
    const isKnown = newName === this.#visitor?.name && this.#visitor?.isPersistent;
    // To a site whose cookies the browser does not keep one is nobody again: to ask once more would not help.
    if (newName !== null && newName !== this.#tookPartAs && !isKnown && chat.isVisitorOfSite) {
      const admission = await this.#site.takePart(newName, this.#going.signal);
      this.#tookPartAs = newName;
      this.#setVisitor(admission.visitor);
      if (!chat.isOf(admission)) await this.#becomeAnother(chat);
      this.#writeLedger(this.#access, chat.connectionId);
    }
    const name = newName ?? this.#visitor?.name;
    if (name) await chat.setName(name);
  }

  /** This browser is another visitor now, on this page too: another tab has taken part, or this one on the service. */
  async #becomeAnother(chat: Chat): Promise<never> {
    await chat.leave().catch(() => {});
    await chat.drop();
    throw new LineError("The connection is that of another visitor.", false);
  }

  /** While there is a line, send what waits, or find out what became of it. */
  #settleOutbox(): void {
    const chat = this.#connector.liveChat;
    const { waiting } = this.#outbox;
    if (!chat || !waiting) return;
    if (chat.isGapProof || !waiting.mayHaveArrived) void this.#outbox.retry();
    else if (this.#hasArrived(waiting, chat)) void this.#outbox.acknowledge();
    else void this.#outbox.giveBack(null, waiting.file !== null);
  }

  #hasArrived(pending: Pending, chat: Chat): boolean {
    const url = pending.file && this.#files.urlOf(pending.file);
    const isSame = ({ text, file }: ThreadMessage) => (url ? file?.url === url : text === pending.text);
    return this.#thread.state.messages.some(
      (message) =>
        message.senderId === chat.selfId && isSame(message) && !this.#knownBeforeSend.has(message.id),
    );
  }
}

/** Whether the service refused what was posted, and not the place or the visitor. */
const isOfTheComment = (error: unknown): error is RefusedError =>
  error instanceof RefusedError && !meansGone(error);

/** What to tell the reader whose comment came back, and at which box. */
function faultOf({ file }: Pending, error: unknown): Fault {
  if (error instanceof SiteError && error.kind === "bad-name") return [error.message, "name"];
  if (error instanceof SiteError && error.kind === "no-room") return [error.message, "form"];
  if (error !== null && !isOfTheComment(error)) return [strings.notPosted, "form"];
  if (!file) return error ? [error.message, "text"] : [strings.notPostedSure, "form"];
  const reason = error ? error.message || strings.notUploaded : strings.fileNotPostedSure;
  return [strings.fileNotPosted(file.name, reason), "files"];
}

/** What kind of trouble a connection has that does not come about. */
function troubleOf(error: unknown): "missing" | "refused" | "unavailable" {
  if (error instanceof MissingError) return "missing";
  return isRefusal(error) ? "refused" : "unavailable";
}

/** The element says where the site's views are; one that was written by hand may leave that to the script. */
function endpointOf(host: HTMLElement): string {
  const script = document.querySelector<HTMLScriptElement>("script[data-endpoint]");
  return host.dataset.endpoint ?? script?.dataset.endpoint ?? "";
}

/** Whether the site knows which visitor of the chat service this is, so that it can take it out. */
const isBySite = ({ mode, ticket }: Access): boolean => mode === "hub" || ticket !== null;

/** When a chatroom becomes private, or public again, its files have other addresses. */
function isSameRoom(a: Access, b: Access): boolean {
  return (["mode", "websiteId", "chatroomId", "isPrivate"] as const).every((key) => a[key] === b[key]);
}

/** Make the section of an element; `start` brings it to life. */
export function openSection(host: HTMLElement): Section {
  // Beside the site's answer, which is the one that counts: a page in a cache may be older than the setting.
  if (host.dataset.sdk !== "widget") loadSdk().catch(() => {});
  return new Section(host);
}
