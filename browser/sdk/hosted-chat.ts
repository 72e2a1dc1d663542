import ChatixCore, { type SdkMessage } from "chatix-core/src/js/chatixcore.js";
import { findLocks } from "../room-ledger";
import type { Access } from "../site";
import type { ThreadMessage } from "../thread-state";
import { type Changes, Chat, guarded, type HistoryPage, RefusedError } from "./chat";
import axios from "./shims/axios";
import type { RestartableConnection } from "./shims/signalr";
import { messageFromSdk } from "./wire";

/** Where the SDK keeps its visitor id. */
const VISITOR_ID_KEY = "chatix__visitorId_v1";

/** Ids of visitors whose storage is blocked: one for as long as the page lives. */
const visitorIds = new Map<string, string>();

/** A chat on the hosted service: what the SDK documents, and no more. */
export class HostedChat extends Chat {
  override readonly isGapProof = false;
  readonly #names = new Map<string, Promise<string | null>>();
  #managers: Promise<Map<string, string | null>> | null = null;
  /** Names are asked for; what came first is told first all the same. */
  #told: Promise<void> = Promise.resolve();

  override get selfId(): string | null {
    return this.core.getVisitor().getUuid();
  }

  override get selfName(): string | null {
    return this.core.getVisitor().name;
  }

  /** Q21: `setName` is awaited by the SDK, `setVisitor` is not. */
  override async setName(name: string): Promise<void> {
    if (this.selfName !== name) await this.call(() => this.core.setName(name));
  }

  override async history(beforeId: string | null, limit: number): Promise<HistoryPage> {
    const page = await this.call(() =>
      this.core.getChatroomMessages(this.access.chatroomId, beforeId, limit),
    );
    return { messages: await Promise.all(page.map((message) => this.#named(message))), cursor: null };
  }

  override async changes(): Promise<Changes> {
    throw new RefusedError("This service has no list of changes.");
  }

  override async send(text: string): Promise<ThreadMessage> {
    // Q2: the text comes first, whatever the README says.
    const stored = await this.call(() => this.core.sendChatroomTextMessage(text, this.access.chatroomId));
    return this.#named(stored);
  }

  /** Q26: of several tabs and sections on a first visit, one gets the id that all will use. */
  override async start(): Promise<void> {
    const { websiteId } = this.access;
    const locks = findLocks();
    if (!locks || !canStore() || findVisitorId(websiteId)) return this.#startAsAccepted();
    await locks.request(`chatix:first-visit:${websiteId}`, { mode: "exclusive" }, () =>
      this.#startAsAccepted(),
    );
  }

  /**
   * Q11: an id that the service does not accept any more would lock this reader out for good. Ask for another
   * one; if that is refused as well, the id was not what was wrong, and stays.
   */
  async #startAsAccepted(): Promise<void> {
    const { websiteId } = this.access;
    const id = findVisitorId(websiteId);
    try {
      await super.start();
    } catch (error) {
      if (!id || !isRefusedAtTheDoor(error)) throw error;
      forgetVisitorId(websiteId);
      await super.start().catch((again: unknown) => {
        rememberVisitorId(websiteId, id);
        throw again;
      });
    }
  }

  /** Q12: the service may have given another id than the one in the connection's address. */
  override canRestart(access: Access): boolean {
    const address = /[?&]visitorId=([^&]*)/.exec(this.hub?.baseUrl ?? "");
    return super.canRestart(access) && address?.[1] === this.selfId;
  }

  /** Q27: where storage is blocked the SDK has to be given an id, as it would throw when it looks for one. */
  protected override async newCore(): Promise<ChatixCore> {
    const { websiteId } = this.access;
    if (canStore()) return new ChatixCore(websiteId);
    let id = visitorIds.get(websiteId);
    if (!id) {
      const answer = await axios.get(`${this.access.apiUrl}/visitor/get-id?websiteId=${websiteId}`);
      id = String(answer.data);
      visitorIds.set(websiteId, id);
    }
    return new ChatixCore(websiteId, id);
  }

  protected override listen(core: ChatixCore, _hub: RestartableConnection): void {
    const { chatroomId, websiteId } = this.access;
    const named = (message: SdkMessage, tell: (message: ThreadMessage) => void) => {
      const whole = this.#named(message);
      this.#told = this.#told.then(async () => {
        const ready = await whole;
        guarded(() => tell(ready));
      });
    };
    // Q11: the SDK goes on with an id of which it was just told that it is invalid.
    core.chat.connection.onInvalidVisitorIdConnected = () => {
      forgetVisitorId(websiteId);
      void this.drop();
    };
    // Q4: these are the names that fire. Q14: updates and deletions carry no room; the state knows its ids.
    core.onChatroomMessageReceived = (room, message) => {
      if (room === chatroomId) named(message, (whole) => this.listener.received(whole));
    };
    core.onChatroomMessageUpdated = (message) => named(message, (whole) => this.listener.updated(whole));
    core.onChatroomMessageDeleted = (id) => guarded(() => this.listener.deleted(id));
    core.onChatroomDeleted = (room) => {
      if (room === chatroomId) guarded(() => this.listener.goneChanged(true));
    };
    core.onChatroomRestored = (room) => {
      if (room.id === chatroomId) guarded(() => this.listener.goneChanged(false));
    };
    core.onMemberDisconnectedFromChatroom = (room, member) => {
      if (room === chatroomId && member.uuid === this.selfId) guarded(() => this.listener.removed());
    };
  }

  async #named(message: SdkMessage): Promise<ThreadMessage> {
    const key = `${message.sender_flag} ${message.sender_id}`;
    const name = this.#names.get(key) ?? this.#askName(message);
    this.#names.set(key, name);
    return messageFromSdk(message, await name);
  }

  /** A name that cannot be had now is asked for again with the next message. */
  async #askName(message: SdkMessage): Promise<string | null> {
    try {
      if (message.sender_flag === 1) return (await this.#allManagers()).get(message.sender_id) ?? null;
      return (await this.call(() => this.core.getMember(message.sender_id))).name;
    } catch {
      this.#names.delete(`${message.sender_flag} ${message.sender_id}`);
      return null;
    }
  }

  #allManagers(): Promise<Map<string, string | null>> {
    this.#managers ??= this.call(() => this.core.getAllManagers()).then(
      (managers) => new Map(managers.map((manager) => [manager.uuid, manager.name])),
      (error: unknown) => {
        this.#managers = null;
        throw error;
      },
    );
    return this.#managers;
  }
}

function canStore(): boolean {
  try {
    return Boolean(window.localStorage);
  } catch {
    return false;
  }
}

/** The service answered, and let nobody in; "too many" and "too slow" say nothing about who asks. */
function isRefusedAtTheDoor(error: unknown): boolean {
  const status = error instanceof Error ? /Status code '(\d+)'/.exec(error.message)?.[1] : undefined;
  return ["400", "401", "403", "404", "410"].includes(status ?? "");
}

function findVisitorId(websiteId: string): string | null {
  return canStore() ? localStorage.getItem(VISITOR_ID_KEY) : (visitorIds.get(websiteId) ?? null);
}

function rememberVisitorId(websiteId: string, id: string): void {
  if (canStore()) localStorage.setItem(VISITOR_ID_KEY, id);
  else visitorIds.set(websiteId, id);
}

function forgetVisitorId(websiteId: string): void {
  if (canStore()) localStorage.removeItem(VISITOR_ID_KEY);
  else visitorIds.delete(websiteId);
}
