import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { SdkMessage } from "chatix-core/src/js/chatixcore.js";
import { loadWriting } from "../load-writing";
import type { Admission } from "../site";
import type { ThreadMessage, ThreadState } from "../thread-state";
import { type Changes, Chat, guarded, type HistoryPage, RefusedError, rethrowAsLineError } from "./chat";
import { comparePages } from "./compare-pages";
import type { Posting } from "./posting";
import type { UploadedFile } from "./upload";
import type { Transfer } from "./upload-request";
import { fileFrom, type Json, MANAGER_FLAG } from "./wire";

/** Callbacks of the SDK that tell what happens in a chatroom. */
export type RoomHandlers = Pick<
  ChatixCore,
  | "onChatroomMessageReceived"
  | "onChatroomMessageUpdated"
  | "onChatroomMessageDeleted"
  | "onChatroomDeleted"
  | "onChatroomRestored"
  | "onMemberDisconnectedFromChatroom"
>;

/** A chat by what the SDK documents, and no more. */
export abstract class DocumentedChat extends Chat implements Posting {
  abstract readonly isVisitorOfSite: boolean;
  abstract isOf(admission: Admission): boolean;
  override readonly isGapProof = false;
  readonly #names = new Map<string, Promise<string | null>>();
  #managers: Promise<Map<string, string | null>> | null = null;
  /** Names are asked for; what came first is told first all the same. */
  #told: Promise<void> = Promise.resolve();

  override get selfId(): string | null {
    return this.core.getVisitor().uuid;
  }

  override get selfName(): string | null {
    return this.core.getVisitor().name;
  }

  /** Q21: `setName` is awaited by the SDK, `setVisitor` is not. */
  async announce(name: string): Promise<void> {
    const before = this.selfName;
    if (before === name) return;
    try {
      await this.call(() => this.core.setName(name));
    } catch (error) {
      // The SDK notes the name before the service has agreed to it.
      this.core.getVisitor().name = before;
      throw error;
    }
  }

  override async history(beforeId: string | null, limit: number): Promise<HistoryPage> {
    const page = await this.call(() =>
      this.core.getChatroomMessages(this.access.chatroomId, beforeId, limit),
    );
    return { messages: await Promise.all(page.map((message) => this.#named(message))), cursor: null };
  }

  override fillGaps(state: ThreadState): Promise<void> {
    return comparePages(this, state);
  }

  override async changes(): Promise<Changes> {
    throw new RefusedError("This service has no list of changes.");
  }

  async whisper(): Promise<never> {
    throw new RefusedError("This service has no whispers for pages.");
  }

  async edit(): Promise<never> {
    throw new RefusedError("This service lets nobody change what was posted.");
  }

  async remove(): Promise<never> {
    throw new RefusedError("This service lets nobody change what was posted.");
  }

  async upload(file: File, transfer: Transfer): Promise<UploadedFile> {
    const { uploadBySdk } = await loadWriting().catch(rethrowAsLineError);
    return uploadBySdk(this, file, transfer);
  }

  async sendUploaded({ draft }: UploadedFile): Promise<ThreadMessage> {
    const { connection } = this.core.chat;
    return this.#named(await this.call(() => connection.sendChatroomMessage(draft, this.access.chatroomId)));
  }

  async send(text: string): Promise<ThreadMessage> {
    // Q2: the text comes first, whatever the README says.
    const stored = await this.call(() => this.core.sendChatroomTextMessage(text, this.access.chatroomId));
    return this.#named(stored);
  }

  /** What to do when the service tells of this chatroom. Q4: these are the names that fire. */
  protected handlers(): RoomHandlers {
    const { chatroomId } = this.access;
    const named = (message: SdkMessage, tell: (message: ThreadMessage) => void) => {
      const whole = this.#named(message);
      this.#told = this.#told.then(async () => {
        const ready = await whole;
        guarded(() => tell(ready));
      });
    };
    return {
      onChatroomMessageReceived: (room, message) => {
        if (room === chatroomId) named(message, (whole) => this.listener.received(whole));
      },
      // Q14: updates and deletions carry no room; the state knows its ids.
      onChatroomMessageUpdated: (message) => named(message, (whole) => this.listener.updated(whole)),
      onChatroomMessageDeleted: (id) => guarded(() => this.listener.deleted(id)),
      onChatroomDeleted: (room) => {
        if (room === chatroomId) guarded(() => this.listener.goneChanged(true));
      },
      onChatroomRestored: (room) => {
        if (room.id === chatroomId) guarded(() => this.listener.goneChanged(false));
      },
      onMemberDisconnectedFromChatroom: (room, member) => {
        if (room === chatroomId && member.uuid === this.selfId) guarded(() => this.listener.removed());
      },
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

/** Read a message as the SDK hands it over: without author's name, edit time and number. */
function messageFromSdk(message: SdkMessage, senderName: string | null): ThreadMessage {
  return {
    id: message.uuid,
    seq: 0,
    sentAt: message.sent_at,
    editedAt: null,
    senderId: message.sender_id,
    senderName,
    isFromManager: message.sender_flag === MANAGER_FLAG,
    isWhisper: false,
    text: message.content ?? "",
    file: fileFrom(message as unknown as Json),
  };
}
