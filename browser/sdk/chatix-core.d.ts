/** What we use of chatix-core 1.3.3, which ships no types. The files themselves stay as published. */
declare module "chatix-core/src/js/chatixcore.js" {
  import type { RestartableConnection } from "./shims/signalr";

  export interface SdkMessage {
    uuid: string;
    type: number;
    content: string | null;
    original_url?: string | null;
    thumb_300_url?: string | null;
    file_url?: string | null;
    sender_flag: number;
    sender_id: string;
    sent_at: Date;
  }

  export interface SdkVisitor {
    uuid: string | null;
    name: string | null;
    getUuid(): string | null;
    setUuid(uuid: string): void;
  }

  export interface SdkChatroom {
    id: string;
    title: string;
  }

  export interface SdkMember {
    uuid: string;
    name: string | null;
  }

  export interface SdkConnection {
    hubConnection?: RestartableConnection;
    sendChatroomMessage(message: SdkMessage, chatroomId: string): Promise<SdkMessage>;
    [method: string]: unknown;
  }

  export interface SdkChat {
    connection: SdkConnection;
    visitor: SdkVisitor;
    websiteId: string;
    sendPage(url: string, title: string): Promise<void>;
    sendChatroomFileMessage(file: File, chatroomId: string): Promise<SdkMessage[]>;
  }

  export default class ChatixCore {
    constructor(websiteId: string, visitorId?: string | null);
    chat: SdkChat;
    onConnected: () => void;
    onDisconnected: () => void;
    onChatroomMessageReceived: (chatroomId: string, message: SdkMessage) => void;
    onChatroomMessageUpdated: (message: SdkMessage, chatroomId?: string) => void;
    onChatroomMessageDeleted: (messageId: string, chatroomId?: string) => void;
    onChatroomDeleted: (chatroomId: string) => void;
    onChatroomRestored: (chatroom: SdkChatroom) => void;
    onMemberDisconnectedFromChatroom: (chatroomId: string, member: SdkMember) => void;
    start(): Promise<boolean>;
    stop(): Promise<boolean>;
    setName(name: string): Promise<void>;
    getVisitor(): SdkVisitor;
    getMember(memberId: string): Promise<SdkMember>;
    /** Q25: builds of the vendor's widget may have this in its place. */
    getChatrooms?(page: number, perPage: number): Promise<unknown[] | { items?: unknown[] }>;
    getAllChatrooms?(page: number, perPage: number): Promise<unknown[] | { items?: unknown[] }>;
    getAllManagers(): Promise<{ uuid: string; name: string | null }[]>;
    connectToChatroom(chatroomId: string): Promise<true>;
    disconnectFromChatroom(chatroomId: string): Promise<true>;
    getChatroomMessages(chatroomId: string, lastId: string | null, count: number): Promise<SdkMessage[]>;
    sendChatroomTextMessage(text: string, chatroomId: string): Promise<SdkMessage>;
  }
}
