/**
 * From an SDK object to the small interface that the section uses; only this folder knows chatix-core.
 *
 * Every quirk of the SDK that can meet us is handled here, in the three kinds of chat (hub-chat.ts,
 * hosted-chat.ts and widget-chat.ts), or in the shims, under its number in docs/sdk-quirks.md.
 */

import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { Access } from "../site";
import type { Change, ThreadMessage, ThreadState } from "../thread-state";
import { loadSdk } from "./load-sdk";
import { chatUrl } from "./shims/api-base";
import type { RestartableConnection } from "./shims/signalr";
import type { Cursor } from "./wire";

type BundledSdk = typeof import("./bundled-sdk");

export const START_TIMEOUT_MS = 20_000;
const ANSWER_TIMEOUT_MS = 15_000;

/** The line broke, or an answer did not come: the connection is not to be used any more. */
export class LineError extends Error {
  override readonly name = "LineError";
  /** Whether the call may have taken effect. */
  readonly mayHaveArrived: boolean;
  /** Whether nobody was let in by the ticket that the site gave; the site can get another. */
  declare readonly isTicketRefused?: true;
  /** Where not time will help, but that something comes to the page. */
  declare readonly missing?: Missing;

  constructor(message: string, mayHaveArrived: boolean) {
    super(message);
    this.mayHaveArrived = mayHaveArrived;
  }
}

/** Something that the chat needs is not on the page, or cannot be used. */
export interface Missing {
  /** Resolves when it has come; rejects when the signal says that nobody waits any more. */
  readonly untilItComes: (signal: AbortSignal) => Promise<void>;
  /** What to say of it to the reader. */
  readonly sentence: string;
}

/** There is nothing to call; nothing was sent. */
export const noLine = (): LineError => new LineError("There is no connection.", false);

/** What the chat needs and the page has not; nothing where that is not the trouble. */
export const missingOf = (error: unknown): Missing | undefined =>
  (error as Partial<LineError> | null)?.missing;

/** The service said no; its message is for the reader. */
export class RefusedError extends Error {
  override readonly name: string = "RefusedError";
}

/** The hub said "not so often", and when it will say yes. */
export class BusyError extends RefusedError {
  override readonly name = "BusyError";
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** How the sentences of our hub end that say so (hub/limiter.py). */
const BUSY = /Please try again in ([0-9]{1,6}) seconds?\.$/;

/** The service does not let us into the chatroom: it is deleted, or not for us. That may change. */
export class GoneError extends RefusedError {
  override readonly name = "GoneError";
}

/** What happens in the chatroom, and to the line. */
export interface ChatListener {
  received(message: ThreadMessage): void;
  updated(message: ThreadMessage): void;
  deleted(messageId: string): void;
  /** The thread became read-only, or writable again. */
  closedChanged(isClosed: boolean): void;
  /** The chatroom was deleted, or restored. */
  goneChanged(isGone: boolean): void;
  /** The visitor was taken out of the chatroom, by the API or on behalf of another tab. */
  removed(): void;
  /** The visitor is a manager from now on, or none any more. */
  rightsChanged(isManager: boolean): void;
  /** So many visitors are in the room now. */
  crowdChanged(count: number): void;
  /** @param comeAgainMs When to connect again, where the service said it. */
  lineClosed(comeAgainMs?: number): void;
}

export interface HistoryPage {
  /** Oldest first. */
  readonly messages: ThreadMessage[];
  /** From where to ask for changes later; `null` where the service has none. */
  readonly cursor: Cursor | null;
  /** Whether there are older messages, where the service says it: its pages may be short. */
  readonly hasMore?: boolean;
  /** How many comments there are in all, where the service says it. */
  readonly total?: number | null;
}

export interface Changes {
  readonly changes: Change[];
  readonly cursor: Cursor | null;
  readonly hasMore: boolean;
  readonly total?: number | null;
}

/**
 * One visitor in one chatroom, to read along; posting.ts says what else. Calls reject with LineError or RefusedError,
 * and with nothing else.
 *
 * How it connects is said for an SDK object of our own; a chat that has none says all of it anew.
 */
export abstract class Chat {
  /** Whether the service can list changes, and knows a repeated send by its client key. */
  abstract readonly isGapProof: boolean;
  protected readonly listener: ChatListener;
  access: Access;
  /** The SDK object, once there is one. */
  protected sdk: ChatixCore | null = null;
  protected isGone = false;
  /** Loads the SDK where it is one of our own. */
  protected readonly loadSdk: () => Promise<Pick<BundledSdk, "ChatixCore" | "setApiBase">> = loadSdk;
  /** What the service said before it closed the line: come again then, since others come, too. */
  protected comeAgainMs: number | undefined;

  constructor(access: Access, listener: ChatListener) {
    this.access = access;
    this.listener = listener;
  }

  /** Whether files can be posted. */
  get takesFiles(): boolean {
    return true;
  }

  /** The public id under which this visitor's messages appear. */
  abstract get selfId(): string | null;

  /** The name that the chat service knows this visitor by; `null` where the site is the one to tell. */
  abstract get selfName(): string | null;

  /** Whether the service has last said that this visitor is one of its managers. */
  get isManager(): boolean {
    return false;
  }

  /** What time it is for the service; `null` where it does not say: nothing of one's own can be changed there. */
  get now(): Date | null {
    return null;
  }

  abstract history(beforeId: string | null, limit: number): Promise<HistoryPage>;
  abstract changes(cursor: Cursor | null): Promise<Changes>;
  /** Bring a thread up to date where changes cannot be listed. */
  async fillGaps(_state: ThreadState): Promise<void> {}

  /** Get the SDK object; one of our own reads the browser's storage unless it is given an id. */
  protected abstract newCore(): Promise<ChatixCore>;

  /** Listen to what the service tells of its own accord. */
  protected abstract listen(core: ChatixCore): void;

  /** The public name of the open connection; the site needs it to withdraw exactly this page's interest. */
  get connectionId(): string | null {
    return this.hub?.connectionId ?? null;
  }

  /** Connect, and let the SDK learn who its visitor is. */
  async start(): Promise<void> {
    const core = await this.newCore().catch(rethrowAsLineError);
    this.sdk = core;
    this.#throwIfGone();
    await this.answered(this.connect(core), START_TIMEOUT_MS);
    // Whoever went before there was a connection has closed none.
    if (this.isGone) this.letGo(core);
    this.#throwIfGone();
    this.listen(core);
  }

  #throwIfGone(): void {
    if (this.isGone) throw noLine();
  }

  /** Make an SDK object of our own, which leads where the site says. */
  protected async makeCore(visitorId: string | null): Promise<ChatixCore> {
    const { ChatixCore, setApiBase } = await this.loadSdk();
    setApiBase(this.access.websiteId, this.access.apiUrl);
    return new ChatixCore(this.access.websiteId, visitorId);
  }

  /** Open the SDK object's connection. */
  protected async connect(core: ChatixCore): Promise<void> {
    core.chat.sendPage = async () => {}; // Q24: address and title of the page are nobody's business
    const started = await startOrFail(core);
    if (!started || !this.hub) throw noLine();
    this.hub.whenClosed(() => this.#closed());
  }

  #closed(): void {
    const { comeAgainMs } = this;
    this.comeAgainMs = undefined;
    this.listener.lineClosed(comeAgainMs);
  }

  /** Be done with the SDK object; nothing is awaited. */
  protected letGo(core: ChatixCore): void {
    core.stop().catch(ignore);
  }

  /** Whether `restart` can lead there; if not, another chat has to be made. */
  canRestart(access: Access): boolean {
    return this.isFor(access) && this.hub?.state === "Disconnected";
  }

  /** Whether this chat, which has not gone, leads where `access` does. */
  protected isFor(access: Access): boolean {
    const isSame = (["mode", "sdk", "websiteId", "chatroomId"] as const).every(
      (key) => access[key] === this.access[key],
    );
    return isSame && !this.isGone;
  }

  /** Connect again after the line closed; what was registered on the SDK object stays. */
  async restart(access: Access): Promise<void> {
    const hub = this.hub;
    if (!hub) throw noLine();
    this.access = access;
    if (access.ticket) {
      (await this.loadSdk()).setApiBase(access.websiteId, access.apiUrl);
      hub.baseUrl = chatUrl(access.apiUrl, access.websiteId, access.ticket);
      // Q12: uploads and the next start go by this id, not by the one in the URL.
      this.core.chat.visitor.setUuid(access.ticket);
    }
    await this.answered(hub.start(), START_TIMEOUT_MS);
  }

  /** Become a member of the chatroom, again after each connection (the service may have forgotten). */
  async join(): Promise<void> {
    try {
      await this.call(() => this.core.connectToChatroom(this.access.chatroomId));
    } catch (error) {
      const isGone = error instanceof RefusedError && !(error instanceof BusyError);
      throw isGone ? new GoneError(error.message) : error;
    }
  }

  /**
   * Go away at once, as a page must that is being left: nothing is awaited by the caller.
   *
   * @param leave Whether to leave the chatroom as well.
   */
  depart(leave: boolean): void {
    this.isGone = true;
    const core = this.sdk;
    if (!core) return;
    // Both calls hand over to the socket in the order in which they are made, before the page is frozen.
    if (leave && this.isConnected) core.disconnectFromChatroom(this.access.chatroomId).catch(ignore);
    this.letGo(core);
  }

  /** Leave a chatroom; one that is gone, or where we are no member, counts as left. */
  async leave(chatroomId = this.access.chatroomId): Promise<void> {
    try {
      await this.call(() => this.core.disconnectFromChatroom(chatroomId));
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  /** Give up a line that seems dead; `restart` may follow. */
  async drop(): Promise<void> {
    await this.hub?.stop().catch(ignore);
  }

  get core(): ChatixCore {
    if (!this.sdk) throw noLine();
    return this.sdk;
  }

  protected get hub(): RestartableConnection | undefined {
    return this.sdk?.chat.connection.hubConnection;
  }

  /** Make a call that is answered or fails within a time, with one of our two errors. */
  protected async call<T>(action: () => Promise<T>): Promise<T> {
    // Q17: the client refuses by itself while it is not connected; nothing was sent then.
    if (!this.isConnected) throw noLine();
    return this.answered(action(), ANSWER_TIMEOUT_MS);
  }

  /** Whether a call can be made now. */
  get isConnected(): boolean {
    return this.hub?.state === "Connected";
  }

  /** Whether a call that has just failed was refused, rather than that the line broke under it. */
  protected async wasRefused(): Promise<boolean> {
    return this.isConnected;
  }

  /** Q16: neither the SDK nor its client ever gives up waiting. */
  protected async answered<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
    try {
      return await within(timeoutMs, answer);
    } catch (error) {
      if (error instanceof LineError) {
        void this.drop();
        throw error;
      }
      const message = error instanceof Error ? error.message : String(error);
      throw (await this.wasRefused()) ? refusal(message) : new LineError(message, true);
    }
  }
}

/** Settle as an answer does; or reject with LineError when it takes too long. */
export async function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LineError("The chat service does not answer.", true)), timeoutMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function refusal(message: string): RefusedError {
  const seconds = BUSY.exec(message)?.[1];
  return seconds ? new BusyError(message, Number(seconds) * 1000) : new RefusedError(message);
}

/** The calls of chat.js:startConnection, in their order. */
const START_CALLS = [
  "start",
  "getVisitorInfo",
  "getConnectedToConversationManagers",
  "getMyChatrooms",
] as const;

/**
 * Q10: `core.start()` says only "false", after writing the reason to the console. Let the SDK wait for ever
 * instead, and reject with the reason.
 */
async function startOrFail(core: ChatixCore): Promise<boolean> {
  const connection = core.chat.connection as Record<string, unknown>;
  const failure = new Promise<never>((_, reject) => {
    for (const name of START_CALLS) {
      const original = connection[name] as (...parameters: unknown[]) => Promise<unknown>;
      connection[name] = (...parameters: unknown[]) =>
        original.apply(connection, parameters).catch((error: unknown) => {
          reject(error);
          return new Promise<never>(() => {});
        });
    }
  });
  try {
    return await Promise.race([failure, core.start()]);
  } finally {
    // What was put on the object goes; the class's own methods come back.
    for (const name of START_CALLS) delete connection[name];
  }
}

/** Q15: what a handler throws must not reach the client, which would drop or log what follows. */
export function guarded(action: () => void): void {
  try {
    action();
  } catch (error) {
    reportError(error);
  }
}

export function ignore(): void {}

export function rethrowAsLineError(error: unknown): never {
  if (error instanceof LineError) throw error;
  throw new LineError(error instanceof Error ? error.message : String(error), false);
}
