import type { Admission } from "../site";
import type { ThreadMessage } from "../thread-state";
import { RefusedError } from "./chat";
import type { HubChat } from "./hub-chat";
import type { Posting } from "./posting";
import { type UploadedFile, uploadToHub } from "./upload";
import type { Transfer } from "./upload-request";
import { messageFrom } from "./wire";

/** Posting on our own hub: idempotent sends, whispers, changes. */
export class HubPosting implements Posting {
  readonly isVisitorOfSite = true;
  readonly #chat: HubChat;

  constructor(chat: HubChat) {
    this.#chat = chat;
  }

  isOf({ visitor }: Admission): boolean {
    return visitor.id === this.#chat.selfId;
  }

  /** The site announces names to our hub (take part). */
  async announce(): Promise<void> {}

  async send(text: string, clientKey: string): Promise<ThreadMessage> {
    return this.#save({ type: 0, content: text, uuid: clientKey });
  }

  /** A method of its own: whatever goes wrong, a whisper is never posted for all. */
  async whisper(text: string, clientKey: string): Promise<ThreadMessage> {
    return this.#stored("SendChatroomWhisper", text, this.#chatroomId, clientKey);
  }

  async edit(messageId: string, text: string): Promise<ThreadMessage> {
    return this.#stored("UpdateChatroomMessage", messageId, text, this.#chatroomId);
  }

  async remove(messageId: string): Promise<void> {
    await this.#chat.invoke("DeleteChatroomMessage", messageId, this.#chatroomId);
  }

  upload(file: File, transfer: Transfer): Promise<UploadedFile> {
    return uploadToHub(this.#chat, file, transfer);
  }

  /** The URL is the key by which the hub knows a repetition. */
  async sendUploaded({ draft }: UploadedFile): Promise<ThreadMessage> {
    return this.#save(draft);
  }

  get #chatroomId(): string {
    return this.#chat.access.chatroomId;
  }

  #save(draft: object): Promise<ThreadMessage> {
    return this.#stored("SaveChatroomMessage", draft, this.#chatroomId);
  }

  async #stored(method: string, ...parameters: unknown[]): Promise<ThreadMessage> {
    const message = messageFrom(await this.#chat.invoke(method, ...parameters));
    if (!message) throw new RefusedError("The chat service's answer cannot be understood.");
    return message;
  }
}
