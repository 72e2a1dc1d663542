/** A chat widget's SDK object as somebody else made it, in the states that a page can meet it in. */

import { vi } from "vitest";

type Json = Record<string, unknown>;

/** The connection inside: spelled as in `@aspnet/signalr` 1.1.4, or as in the newer client. */
export class FakePageHub {
  state: unknown = 1;
  connection: { connectionState?: number } = { connectionState: 1 };
  readonly callbacks: (() => void)[] = [];
  readonly start = vi.fn(async () => this.open());

  onclose(callback: () => void): void {
    this.callbacks.push(callback);
  }

  open(): void {
    this.state = 1;
    this.connection.connectionState = 1;
  }

  close(): void {
    this.state = 0;
    this.connection.connectionState = 2;
    for (const callback of this.callbacks) callback();
  }
}

export class FakeCore {
  hub: FakePageHub | undefined = new FakePageHub();
  chat:
    | {
        websiteId: string;
        connection: {
          hubConnection?: FakePageHub | undefined;
          sendChatroomMessage(draft: Json, room: string): Promise<Json>;
        };
        sendChatroomFileMessage: (file: File, room: string) => Promise<Json[]>;
      }
    | undefined;
  /** What an upload comes to. */
  readonly uploaded = vi.fn(async (file: File): Promise<Json[]> => [fileMessage("", file.name)]);
  readonly posted = vi.fn(async (draft: Json, _room: string) => ({
    ...draft,
    uuid: `posted ${draft.file_url}`,
  }));
  readonly visitor = { uuid: "widget-visitor", name: null as string | null, getUuid: () => "widget-visitor" };
  onConnected: () => void = () => {};
  onDisconnected: () => void = () => {};
  onChatroomMessageReceived: (room: string, message: Json) => void = () => {};
  onChatroomMessageUpdated: (message: Json) => void = () => {};
  onChatroomMessageDeleted: (id: string) => void = () => {};
  onChatroomDeleted: (room: string) => void = () => {};
  onChatroomRestored: (room: Json) => void = () => {};
  onMemberDisconnectedFromChatroom: (room: string, member: Json) => void = () => {};
  readonly start = vi.fn();
  readonly stop = vi.fn();
  readonly getVisitor = vi.fn(() => this.visitor);
  readonly setName = vi.fn(async (name: string) => {
    this.visitor.name = name;
  });
  readonly getMember = vi.fn(async (uuid: string) => ({ uuid, name: `name of ${uuid}` }));
  readonly getAllManagers = vi.fn(async () => []);
  readonly connectToChatroom = vi.fn(async (_room: string) => true);
  readonly disconnectFromChatroom = vi.fn(async (_room: string) => true);
  readonly getChatroomMessages = vi.fn(async () => [message("m1", "first")]);
  readonly sendChatroomTextMessage = vi.fn(async (text: string, _room: string) => message("m2", text));
  readonly getAllChatrooms = vi.fn(async () => ({ items: [] as Json[] }));

  constructor(websiteId = "site") {
    const connection = Object.defineProperty({ sendChatroomMessage: this.posted }, "hubConnection", {
      get: () => this.hub,
    });
    this.chat = { websiteId, connection, sendChatroomFileMessage: (file) => this.uploaded(file) };
  }
}

export const message = (uuid: string, content: string): Json => ({
  uuid,
  content,
  type: 0,
  sender_flag: 0,
  sender_id: "other",
  sent_at: new Date(1_700_000_001_000),
});

export const fileMessage = (uuid: string, name: string): Json => ({
  ...message(uuid, ""),
  type: 5,
  file_url: `http://service.test/files/${name}`,
});

export function putOnPage(core: unknown): void {
  vi.stubGlobal("chatixWidget", { core });
}
