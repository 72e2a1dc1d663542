import ChatixCore, { type SdkMessage } from "chatix-core/src/js/chatixcore.js";
import type { ThreadMessage } from "../thread-state";
import { type Changes, Chat, guarded, type HistoryPage, RefusedError } from "./chat";
import axios from "./shims/axios";
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

  override async start(): Promise<void> {
    try {
      await super.start();
    } catch (error) {
      // Q11: an id that the service does not accept any more would lock this reader out for good.
      if (error instanceof Error && /Status code '4\d\d'/.test(error.message)) forgetVisitorId();
      throw error;
    }
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

  protected override listen(core: ChatixCore): void {
    const { chatroomId } = this.access;
    const named = (message: SdkMessage, tell: (message: ThreadMessage) => void) =>
      void this.#named(message).then((whole) => guarded(() => tell(whole)));
    // Q4: these are the names that fire. Q14: updates and deletions carry no room; the state knows its ids.
    core.onChatroomMessageReceived = (room, message) => {
      if (room === chatroomId) named(message, (whole) => this.listener.received(whole));
    };
    core.onChatroomMessageUpdated = (message) => named(message, (whole) => this.listener.updated(whole));
    core.onChatroomMessageDeleted = (id) => guarded(() => this.listener.deleted(id));
    core.onChatroomDeleted = (room) => {
      if (room === chatroomId) guarded(() => this.listener.closedChanged(true));
    };
    core.onChatroomRestored = (room) => {
      if (room.id === chatroomId) guarded(() => this.listener.closedChanged(false));
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

function forgetVisitorId(): void {
  visitorIds.clear();
  if (canStore()) localStorage.removeItem(VISITOR_ID_KEY);
}
