/**
 * Keep one section connected: ask the site for access, connect, join, catch up, and all of it again whenever
 * the line breaks, for as long as the section is shown.
 */

import { everyTick } from "./clock";
import {
  BusyError,
  type Chat,
  type ChatListener,
  GoneError,
  type LineError,
  missingOf,
  RefusedError,
  within,
} from "./sdk/chat";
import { type Access, type Site, SiteError } from "./site";

export type LineState = "connecting" | "preparing" | "live" | "reconnecting" | "catching-up" | "offline";

/** What the section does at the steps of a connection. */
export interface ConnectorHooks {
  stateChanged(state: LineState): void;
  /** The site lets us in; this is who we are there. */
  admitted(access: Access): void | Promise<void>;
  /** The room is joined: fetch what is missing. */
  catchUp(chat: Chat): Promise<void>;
  /** Nothing is missing any more. */
  live(chat: Chat): void;
  /** An attempt failed; there will be others. */
  failed(error: unknown): void;
  /** Whether the reader has something under way that needs the line, though nobody looks at the page. */
  isAtWork(): boolean;
}

export type NewChat = (access: Access, listener: ChatListener) => Promise<Chat>;

/** What the section hears of a chat; what happens to the line is the connector's business. */
export type RoomListener = Omit<ChatListener, "lineClosed" | "removed">;

const FIRST_DELAY_MS = 600;
const LONGEST_DELAY_MS = 12_000;
const LONGEST_PATIENT_DELAY_MS = 60_000;
/** Q7: a service that lets us in and closes at once must not be asked again and again without a pause. */
const STEADY_AFTER_MS = 10_000;
const OFFLINE_AFTER_FAILURES = 3;
/** A page that was hidden for so long may have slept through the end of its connection. */
const PROBE_AFTER_HIDDEN_MS = 15_000;
/** A page that nobody has looked at for so long lets its connection go, and catches up when somebody does. */
export const REST_AFTER_HIDDEN_MS = 5 * 60_000;
const LOOK_AGAIN_AT_WORK_MS = 30_000;
/** Less than a call's own time: somebody is looking at the page. */
const PROBE_TIMEOUT_MS = 5_000;

export class Connector {
  readonly #site: Site;
  readonly #newChat: NewChat;
  readonly #listener: RoomListener;
  readonly #hooks: ConnectorHooks;
  #run: AbortController | null = null;
  #chat: Chat | null = null;
  #state: LineState = "connecting";
  #wasLive = false;
  #failures = 0;
  /** When the service wants to see us again; it sees to it that not all come at once. */
  #comeAgainMs: number | undefined;
  /** Whether the site may be asked for another ticket: not again before one was accepted. */
  #mayRefuseTicket = true;
  #closed: () => void = () => {};
  #wake: () => void = () => {};
  #hiddenSince: number | null = null;
  /** Whether nobody has looked at the page for long, so that it needs no line. */
  #isResting = false;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(site: Site, newChat: NewChat, listener: RoomListener, hooks: ConnectorHooks) {
    this.#site = site;
    this.#newChat = newChat;
    this.#hooks = hooks;
    this.#listener = listener;
  }

  /** The chat, connected or not; `null` before the first one. */
  get chat(): Chat | null {
    return this.#chat;
  }

  /** The chat while it is joined and caught up. */
  get liveChat(): Chat | null {
    return this.#state === "live" ? this.#chat : null;
  }

  /** Connect and stay connected; does nothing when that is so already. */
  start(): void {
    if (this.#run) return;
    this.#run = new AbortController();
    this.#failures = 0;
    this.#become(this.#wasLive ? "reconnecting" : "connecting");
    this.#listen(this.#run.signal);
    if (document.hidden) this.#onVisibility();
    void this.#loop(this.#run.signal);
  }

  /** Stop at once, and hand over the chat, whose connection is still open, to be left and closed. */
  halt(): Chat | null {
    this.#run?.abort();
    this.#run = null;
    this.#endRest();
    const chat = this.#chat;
    this.#chat = null;
    this.#become(this.#wasLive ? "reconnecting" : "connecting");
    return chat;
  }

  /** Find out now whether the line still works, by asking for what is missing. */
  async probe(): Promise<void> {
    const chat = this.liveChat;
    if (!chat) return this.#wake();
    try {
      await within(PROBE_TIMEOUT_MS, this.#refresh(chat));
    } catch {
      if (this.#chat === chat) await chat.drop();
    }
  }

  /** On the hosted service another tab may have taken the visitor out: a section that is looked at is in. */
  async #refresh(chat: Chat): Promise<void> {
    if (!chat.isGapProof) await chat.join();
    await this.#hooks.catchUp(chat);
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let error: unknown = null;
      try {
        await this.#stayConnected(signal);
      } catch (caught) {
        error = caught;
      }
      if (signal.aborted) return;
      if (this.#isResting) {
        await this.#untilLookedAt(signal);
        continue;
      }
      if ((error as Partial<LineError> | null)?.isTicketRefused) this.#refuseTicket();
      if (error instanceof GoneError) this.#site.noteNotLetIn();
      const delay = this.#afterTrouble(error);
      // No need to ask the site again and again meanwhile.
      const missing = missingOf(error);
      if (missing) await missing.untilItComes(signal).catch(() => {});
      else await this.#pause(delay, signal);
    }
  }

  /** If the next one is refused as well, it was not the ticket that was wrong. */
  #refuseTicket(): void {
    if (this.#mayRefuseTicket) this.#site.refuseTicket();
    this.#mayRefuseTicket = false;
  }

  /** Resolves when a connection that was live has closed; rejects when it did not come so far. */
  async #stayConnected(signal: AbortSignal): Promise<void> {
    const access = await this.#site.join(signal);
    signal.throwIfAborted();
    await this.#hooks.admitted(access);
    signal.throwIfAborted();
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    const chat = await this.#reach(access, signal);
    try {
      signal.throwIfAborted();
      await chat.join();
      signal.throwIfAborted();
      if (this.#wasLive) this.#become("catching-up");
      await this.#hooks.catchUp(chat);
      signal.throwIfAborted();
    } catch (error) {
      if (!signal.aborted) await chat.drop();
      throw error;
    }
    if (this.#isResting) await chat.drop();
    else await this.#beLive(chat, closed);
  }

  async #beLive(chat: Chat, closed: Promise<void>): Promise<void> {
    this.#wasLive = true;
    this.#mayRefuseTicket = true;
    this.#become("live");
    this.#hooks.live(chat);
    const since = Date.now();
    await closed;
    if (Date.now() - since >= STEADY_AFTER_MS) this.#failures = 0;
  }

  /** Restart the chat that we have, or make another one. */
  async #reach(access: Access, signal: AbortSignal): Promise<Chat> {
    const known = this.#chat;
    if (known?.canRestart(access)) {
      await known.restart(access);
      return known;
    }
    known?.depart(false);
    // A chat that was replaced may still hear its line close; that is no news of this one.
    const lineClosed = (comeAgainMs?: number) => {
      if (this.#chat !== chat) return;
      this.#comeAgainMs = comeAgainMs;
      this.#closed();
    };
    // A room that is shown is one that we are in, or are refused: to join again is what a new line begins with.
    const removed = () => {
      if (this.#chat === chat) void chat.drop();
    };
    const chat: Chat = await this.#newChat(access, { ...this.#listener, lineClosed, removed });
    signal.throwIfAborted();
    this.#chat = chat;
    try {
      await chat.start();
    } catch (error) {
      // A half-started SDK object is of no use; the next attempt gets a new one.
      if (this.#chat === chat) this.#chat = null;
      chat.depart(false);
      throw error;
    }
    return chat;
  }

  /** Note an attempt that failed or a line that broke; return how long to wait, in milliseconds. */
  #afterTrouble(error: unknown): number {
    if (error instanceof SiteError && error.kind === "preparing") {
      this.#become("preparing");
      return later(error.retryAfterMs ?? 1000);
    }
    if (meansGone(error)) {
      this.#hooks.failed(error);
      this.#become("offline");
      return jittered(LONGEST_PATIENT_DELAY_MS);
    }
    this.#failures += 1;
    if (error !== null) this.#hooks.failed(error);
    const isSiteTrouble = error instanceof SiteError && error.kind !== "unreachable";
    const isKnown = isSiteTrouble || isRefusal(error) || missingOf(error) || !navigator.onLine;
    const isOffline = isKnown || this.#failures >= OFFLINE_AFTER_FAILURES;
    if (isOffline) this.#become("offline");
    else if (this.#state !== "offline") this.#become(this.#wasLive ? "reconnecting" : "connecting");
    return this.#delayAfter(error);
  }

  #delayAfter(error: unknown): number {
    // A refusal will hardly change.
    if (isRefusal(error)) return jittered(LONGEST_PATIENT_DELAY_MS);
    const toldMs = this.#comeAgainMs;
    this.#comeAgainMs = undefined;
    if (toldMs !== undefined) return Math.min(toldMs, LONGEST_PATIENT_DELAY_MS);
    const longestMs = document.hidden ? LONGEST_PATIENT_DELAY_MS : LONGEST_DELAY_MS;
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (this.#failures - 1), longestMs);
    const says = error instanceof SiteError || error instanceof BusyError;
    const wantedMs = says ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(jittered(delayMs), later(Math.min(wantedMs, LONGEST_PATIENT_DELAY_MS)));
  }

  /** @param delayMs `null`: until somebody or something wakes us. */
  #pause(delayMs: number | null, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = delayMs === null ? undefined : setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", this.#wake, { once: true });
    });
  }

  /** The reader is back, or the network is: no need to wait for the timer. */
  #listen(signal: AbortSignal): void {
    const probe = () => void this.probe();
    addEventListener("online", probe, { signal });
    addEventListener("offline", probe, { signal });
    document.addEventListener("visibilitychange", () => this.#onVisibility(), { signal });
    const end = everyTick((lateMs) => {
      // The machine has slept, and nobody else will say so.
      if (lateMs >= PROBE_AFTER_HIDDEN_MS) void this.#lookAgain();
    });
    signal.addEventListener("abort", end);
  }

  #onVisibility(): void {
    if (document.hidden) {
      this.#hiddenSince = Date.now();
      this.#restIn(REST_AFTER_HIDDEN_MS);
      return;
    }
    this.#endRest();
    const hiddenMs = this.#hiddenSince === null ? 0 : Date.now() - this.#hiddenSince;
    this.#hiddenSince = null;
    const isSure = this.liveChat?.isGapProof && hiddenMs < PROBE_AFTER_HIDDEN_MS;
    if (!isSure) void this.#lookAgain();
  }

  /** Much may have happened that nobody has told us: the state says so until we know. */
  async #lookAgain(): Promise<void> {
    if (this.#state === "live") this.#hooks.stateChanged("catching-up");
    await this.probe();
    if (this.#state === "live") this.#hooks.stateChanged("live");
  }

  #restIn(delayMs: number): void {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      if (this.#hooks.isAtWork()) return this.#restIn(LOOK_AGAIN_AT_WORK_MS);
      this.#isResting = true;
      this.#wake();
      void this.#chat?.drop();
    }, delayMs);
  }

  #endRest(): void {
    clearTimeout(this.#rest);
    this.#isResting = false;
  }

  async #untilLookedAt(signal: AbortSignal): Promise<void> {
    this.#become(this.#wasLive ? "reconnecting" : "connecting");
    while (this.#isResting && !signal.aborted) await this.#pause(null, signal);
  }

  #become(state: LineState): void {
    this.#state = state;
    this.#hooks.stateChanged(state);
  }
}

/** Whether there is no chatroom to go to: nothing is broken, and asking often would change nothing. */
export function meansGone(error: unknown): boolean {
  return error instanceof GoneError || (error instanceof SiteError && error.kind === "gone");
}

/** Whether somebody said no, rather than nothing: the site to the page, or the chat service to the visitor. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof BusyError) return false;
  return error instanceof RefusedError || (error instanceof SiteError && !error.mayPass);
}

/** Many readers lose one hub at the same moment; they must not come back at the same moment. */
const jittered = (delayMs: number): number => delayMs * (0.5 + Math.random() / 2);

/** When somebody asks to be left alone for a time, all come back behind its end. */
const later = (wantedMs: number): number => wantedMs * (1 + Math.random() / 4);
