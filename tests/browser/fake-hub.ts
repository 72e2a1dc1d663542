/**
 * Site and hub on the other side of `fetch`, `WebSocket` and `sendBeacon`, for tests with the real SDK.
 *
 * It speaks SignalR by literal text records, keeps rooms in memory, and can be killed, cut off and silenced.
 */

import { vi } from "vitest";
import { FakeUpload } from "./fake-upload";

const RECORD_END = "\u001e";

export const API_URL = "http://hub.test/v1";
export const ENDPOINT = "/chatix-comments";

type Json = Record<string, unknown>;

/** What can only be done in a chatroom that is there. */
const IN_ROOM = new Set(["GetChatroomHistory", "GetChatroomChanges", "SaveChatroomMessage"]);

interface StoredMessage extends Json {
  uuid: string;
  content: string;
  sender_id: string;
  sent_at: number;
  edited_at: number | null;
  seq: number;
}

interface Invocation {
  type: number;
  target: string;
  invocationId?: string;
  arguments: unknown[];
}

type HubMethod = (socket: FakeSocket, ...parameters: never[]) => unknown;

/** What a hub method throws to be refused with this text. */
export class Refusal extends Error {}

export class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;

  /** The hub of the running test. */
  static hub: FakeHub;

  readonly url: URL;
  readonly visitorId: string;
  readonly connectionId: string;
  readyState = FakeSocket.CONNECTING;
  hasShaken = false;
  onopen: ((event: unknown) => void) | null = null;
  onclose: ((event: unknown) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;

  constructor(url: string) {
    this.url = new URL(url);
    this.visitorId = this.url.searchParams.get("visitorId") ?? "";
    this.connectionId = (this.url.searchParams.get("id") ?? "").replace("token", "connection");
    queueMicrotask(() => FakeSocket.hub.accept(this));
  }

  send(data: string): void {
    for (const record of data.split(RECORD_END).filter(Boolean)) FakeSocket.hub.receive(this, record);
  }

  close(): void {
    this.readyState = FakeSocket.CLOSED;
    FakeSocket.hub.sockets.delete(this);
  }

  /** Deliver records in one frame. */
  deliver(...records: Json[]): void {
    const data = records.map((record) => JSON.stringify(record) + RECORD_END).join("");
    queueMicrotask(() => {
      if (this.readyState === FakeSocket.OPEN) this.onmessage?.({ data });
    });
  }

  /** End it as a lost network does. */
  lose(): void {
    const wasOpen = this.readyState === FakeSocket.OPEN;
    this.close();
    if (!wasOpen) this.onerror?.({});
    this.onclose?.({ wasClean: false, code: 1006, reason: "" });
  }
}

export class FakeHub {
  readonly sockets = new Set<FakeSocket>();
  readonly messages: StoredMessage[] = [];
  readonly deleted: { uuid: string; change: number }[] = [];
  /** By connection: what was invoked, in order. */
  readonly calls: { target: string; arguments: unknown[]; connectionId: string }[] = [];
  readonly requests: { url: string; body: Json }[] = [];
  readonly beacons: Json[] = [];
  /** Connections that are interested in the room. */
  readonly interested = new Set<string>();
  readonly names = new Map<string, string>();
  chatroomId = "room-1";
  isDown = false;
  isDeleted = false;
  isSilent = false;
  siteIsDown = false;
  /** Store what is sent, but break the line before the answer. */
  losesAnswers = false;
  negotiateStatus = 200;
  /** Visitor ids that negotiate refuses, with 401. */
  readonly refusedIds = new Set<string>();
  /** Ids that the service answers with another one. */
  readonly renames = new Map<string, string>();
  /** What a hub method fails with, once for each. */
  readonly failures: { target: string; message: string }[] = [];
  /** Whether history and changes say that the thread is read-only. */
  isClosed = false;
  joinAnswer: Json = {};
  joinStatus = 200;
  takePartStatus = 200;
  takePartAnswer: Json = {};
  /** What the site's answers to take-part wait for. */
  takePartGate: Promise<void> = Promise.resolve();
  keepsCookies = true;
  managers: Json[] = [];
  pageLimit = 100;
  historyLimit = 100;
  /** Whether whoever is connected is a manager: told with what they read, and they get whispers. */
  isManager = false;
  /** How far the hub's clock is from the browser's. */
  skewS = 0;
  readonly uploads: FakeUpload[] = [];
  /** Let tests answer uploads. */
  holdsUploads = false;
  #connections = 0;
  #newIds = 0;
  #changes = 0;
  readonly #changeOf = new Map<string, number>();
  readonly #keys = new Map<string, StoredMessage>();

  /** Put this hub behind the browser's globals. */
  install(): this {
    FakeSocket.hub = this;
    FakeUpload.target = this;
    vi.stubGlobal("XMLHttpRequest", FakeUpload);
    vi.stubGlobal("WebSocket", FakeSocket);
    vi.stubGlobal("fetch", (url: string, init?: RequestInit) => this.#fetch(String(url), init ?? {}));
    vi.stubGlobal("navigator", this.#navigator());
    return this;
  }

  get lastUpload(): FakeUpload {
    const upload = this.uploads.at(-1);
    if (!upload) throw new Error("nothing was uploaded");
    return upload;
  }

  get lastSocket(): FakeSocket {
    const socket = [...this.sockets].at(-1);
    if (!socket) throw new Error("nobody is connected");
    return socket;
  }

  callsOf(target: string): unknown[][] {
    return this.calls.filter((call) => call.target === target).map((call) => call.arguments);
  }

  requestsTo(path: string): Json[] {
    return this.requests.filter((request) => request.url.includes(path)).map((request) => request.body);
  }

  kill(): void {
    this.isDown = true;
    for (const upload of this.uploads) upload.lose();
    this.cut();
  }

  cut(): void {
    for (const socket of [...this.sockets]) socket.lose();
  }

  /** Store a message of somebody else and tell everybody. */
  post(content: string, senderId = "other", extra: Json = {}): StoredMessage {
    const message = this.#store(content, senderId, extra);
    this.#tell("ApplyChatroomMessage", [message, this.chatroomId]);
    return message;
  }

  edit(uuid: string, content: string): StoredMessage {
    const message = this.messages.find((it) => it.uuid === uuid);
    if (!message) throw new Refusal("There is no such message.");
    if (content === "forbidden") throw new Refusal("This message is too old to be changed.");
    message.content = content;
    message.edited_at = Math.max(message.edited_at ?? 0, message.sent_at + 59) + 1;
    this.#note(uuid);
    this.#tell("OnUpdateChatroomMessage", [message, this.chatroomId]);
    return message;
  }

  /** Say that whoever is connected is a manager from now on, or none any more. */
  setManager(isManager: boolean): void {
    this.isManager = isManager;
    for (const socket of this.sockets)
      socket.deliver({ type: 1, target: "OnManagerRightsChanged", arguments: [isManager] });
  }

  delete(uuid: string): void {
    const index = this.messages.findIndex((it) => it.uuid === uuid);
    if (index < 0) throw new Refusal("There is no such message.");
    this.messages.splice(index, 1);
    this.deleted.push({ uuid, change: ++this.#changes });
    this.#tell("OnDeleteChatroomMessage", [uuid, this.chatroomId]);
  }

  /** Delete the room, or bring it back. */
  setDeleted(isDeleted: boolean): void {
    this.isDeleted = isDeleted;
    const room = { id: this.chatroomId, title: "t", managers: [], is_closed: this.isClosed };
    if (isDeleted) this.#tell("OnDeleteChatroom", [room.id]);
    else this.#tell("OnRestoreChatroom", [room]);
  }

  tell(target: string, parameters: unknown[]): void {
    this.#tell(target, parameters);
  }

  // The browser's side

  accept(socket: FakeSocket): void {
    if (this.isDown) {
      socket.lose();
      return;
    }
    socket.readyState = FakeSocket.OPEN;
    this.sockets.add(socket);
    socket.onopen?.({});
  }

  receive(socket: FakeSocket, text: string): void {
    const record = JSON.parse(text);
    if (!socket.hasShaken) {
      socket.hasShaken = true;
      socket.deliver({});
    } else if (record.type === 1) this.#invoke(socket, record);
  }

  #invoke(socket: FakeSocket, { target, invocationId, arguments: parameters }: Invocation): void {
    this.calls.push({ target, arguments: parameters, connectionId: socket.connectionId });
    if (this.isSilent) return;
    let answer: Json;
    try {
      const failure = this.failures.findIndex((it) => it.target === target);
      if (failure >= 0) throw new Refusal(this.failures.splice(failure, 1)[0]?.message);
      const method = this.#methods[target];
      if (!method) throw new Refusal(`There is no hub method ${target}.`);
      if (this.isDeleted && IN_ROOM.has(target)) throw new Refusal("There is no such chatroom.");
      answer = { type: 3, invocationId, result: method(socket, ...(parameters as never[])) ?? null };
    } catch (error) {
      answer = { type: 3, invocationId, error: (error as Error).message };
    }
    if (this.losesAnswers && target === "SaveChatroomMessage") socket.lose();
    else if (invocationId !== undefined) socket.deliver(answer);
  }

  readonly #methods: Record<string, HubMethod> = {
    GetVisitorInfo: (socket) => this.#visitor(this.renames.get(socket.visitorId) ?? socket.visitorId),
    GetManagers: () => this.managers,
    GetWebChatManagers: () => this.managers,
    GetMyChatrooms: () => ({ items: [] }),
    SavePageInfo: () => null,
    ConnectToChatroom: (socket, room: string) => {
      if (room !== this.chatroomId || this.isDeleted)
        return { is_success: false, description: "There is no such chatroom." };
      this.interested.add(socket.connectionId);
      return { is_success: true };
    },
    DisconnectFromChatroom: (socket) => {
      this.interested.delete(socket.connectionId);
      return { is_success: true };
    },
    SaveVisitorInfo: (socket, visitor: Json) => {
      this.names.set(socket.visitorId, String(visitor.name));
      return this.#visitor(socket.visitorId);
    },
    GetVisitorByVisitor: (_socket, id: string) => ({
      uuid: id,
      name: this.names.get(id) ?? null,
      is_online: true,
    }),
    GetChatroomHistory: (_socket, _room: string, before: string | null, count: number) => {
      const visible = this.messages.filter((it) => this.isManager || !it.is_whisper);
      const end = before === null ? visible.length : visible.findIndex((it) => it.uuid === before);
      const start = Math.max(0, end - Math.min(count, this.historyLimit));
      const items = visible.slice(start, end);
      return { items, cursor: `c${this.#changes}`, has_more: start > 0, ...this.#standpoint() };
    },
    GetChatroomChanges: (_socket, _room: string, cursor: string | null, count: number) => ({
      ...this.#changesSince(Number(cursor?.slice(1) ?? 0), Math.min(count, this.pageLimit)),
      ...this.#standpoint(),
    }),
    SaveChatroomMessage: (socket, draft: Json, _room: string) => this.#save(socket, draft),
    SendChatroomWhisper: (socket, content: string, _room: string, key: string) => {
      if (!this.isManager) throw new Refusal("Only managers can whisper.");
      return this.#save(socket, { type: 0, content, uuid: key }, { is_whisper: true });
    },
    UpdateChatroomMessage: (_socket, uuid: string, content: string, _room: string) =>
      this.edit(uuid, content),
    DeleteChatroomMessage: (_socket, uuid: string, _room: string) => {
      this.delete(uuid);
      return { is_success: true };
    },
  };

  #visitor(id: string): Json {
    return { uuid: id, name: this.names.get(id) ?? null, email: null, fields: {}, is_online: true };
  }

  #standpoint(): Json {
    return {
      is_closed: this.isClosed,
      total: this.messages.filter((message) => !message.is_whisper).length,
      now: Date.now() / 1000 + this.skewS,
      ...(this.isManager ? { is_manager: true } : {}),
    };
  }

  #save(socket: FakeSocket, draft: Json, extra: Json = {}): StoredMessage {
    const url = draft.original_url ?? draft.file_url;
    const key = String(url ?? draft.uuid ?? "");
    const known = this.#keys.get(key);
    if (known) return known;
    const content = String(draft.content);
    if (content === "forbidden") throw new Refusal("This cannot be posted.");
    if (key.endsWith("/forbidden")) throw new Refusal("This file cannot be posted.");
    const senderId = this.joinAnswer.mode === "hosted" ? socket.visitorId : "me";
    const { type, thumb_300_url = null, original_url = null, file_url = null } = draft;
    const sender_flag = this.isManager ? 1 : 0;
    const message = this.#store(content, senderId, {
      type,
      thumb_300_url,
      original_url,
      file_url,
      sender_flag,
      ...extra,
    });
    if (key) this.#keys.set(key, message);
    for (const other of this.sockets) {
      if (other !== socket)
        other.deliver({ type: 1, target: "ApplyChatroomMessage", arguments: [message, this.chatroomId] });
    }
    return message;
  }

  #store(content: string, senderId: string, extra: Json): StoredMessage {
    const seq = (this.messages.at(-1)?.seq ?? 0) + 1;
    const message: StoredMessage = {
      uuid: `m${seq}`,
      type: 0,
      content,
      thumb_100_url: null,
      thumb_300_url: null,
      original_url: null,
      file_url: null,
      sender_flag: 0,
      sender_id: senderId,
      sender_name: this.names.get(senderId) ?? null,
      sent_at: 1_700_000_000 + seq,
      edited_at: null,
      seq,
      ...extra,
    };
    this.messages.push(message);
    this.#note(message.uuid);
    return message;
  }

  #note(uuid: string): void {
    this.#changeOf.set(uuid, ++this.#changes);
  }

  #changesSince(cursor: number, limit: number): Json {
    const all = [
      ...this.messages
        .filter((message) => this.isManager || !message.is_whisper)
        .map((message) => ({
          change: this.#changeOf.get(message.uuid) ?? 0,
          item: message as Json,
        })),
      ...this.deleted.map(({ uuid, change }) => ({ change, item: { uuid, is_deleted: true } as Json })),
    ];
    const since = all.filter(({ change }) => change > cursor).sort((a, b) => a.change - b.change);
    const page = since.slice(0, limit);
    return {
      items: page.map(({ item }) => item),
      cursor: `c${page.at(-1)?.change ?? cursor}`,
      has_more: since.length > page.length,
    };
  }

  #tell(target: string, parameters: unknown[]): void {
    for (const socket of this.sockets) {
      if (this.interested.has(socket.connectionId))
        socket.deliver({ type: 1, target, arguments: parameters });
    }
  }

  // HTTP: the site's views, and the hub's negotiate, get-id and file/save

  beginUpload(upload: FakeUpload): { status: number; body: unknown } | null {
    this.uploads.push(upload);
    if (this.isDown) upload.lose();
    return this.holdsUploads ? null : this.uploaded(upload);
  }

  /** Return what the hub answers to an upload that it takes. */
  uploaded({ file }: FakeUpload): { status: number; body: Json } {
    const url = `http://hub.test/files/${this.uploads.length}/${file.name}`;
    const thumbs = file.type.startsWith("image/")
      ? { thumb100Url: `${url}-100`, thumb300Url: `${url}-300` }
      : {};
    return { status: 200, body: { fileUrl: url, ...thumbs } };
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const body: Json = typeof init.body === "string" ? JSON.parse(init.body) : {};
    this.requests.push({ url, body });
    if (init.signal?.aborted) throw new DOMException("aborted", "AbortError");
    if (url.startsWith(API_URL)) return this.#answerForHub(url);
    if (this.siteIsDown) throw new TypeError("Failed to fetch");
    if (url.endsWith("/join")) return json(this.joinStatus, { ...this.#access(), ...this.joinAnswer });
    if (url.endsWith("/take-part")) {
      await this.takePartGate;
      return this.#takePart(body);
    }
    if (url.endsWith("/leave")) return new Response(null, { status: 204 });
    throw new Error(`unexpected request: ${url}`);
  }

  #answerForHub(url: string): Response {
    if (this.isDown) throw new TypeError("Failed to fetch");
    if (url.includes("/visitor/get-id")) {
      this.#newIds += 1;
      return new Response(this.#newIds === 1 ? "fresh-id" : `fresh-id-${this.#newIds}`);
    }
    if (!url.includes("/chat/negotiate")) throw new Error(`unexpected request: ${url}`);
    this.#connections += 1;
    const transport = { transport: "WebSockets", transferFormats: ["Text", "Binary"] };
    const visitorId = new URL(url).searchParams.get("visitorId") ?? "";
    return json(this.refusedIds.has(visitorId) ? 401 : this.negotiateStatus, {
      connectionId: `connection-${this.#connections}`,
      connectionToken: `token-${this.#connections}`,
      negotiateVersion: 1,
      availableTransports: [transport],
    });
  }

  #access(): Json {
    return {
      state: "open",
      mode: "hub",
      website_id: "local",
      api_url: API_URL,
      chatroom_id: this.chatroomId,
      ticket: `ticket-${this.requestsTo("/join").length}`,
      ticket_expires_in_s: 43_200,
      visitor: { id: "me", name: null, is_manager: false, is_signed_in: false, is_persistent: false },
      limits: { message_chars: 100, name_chars: 20, page_size: 3, edit_window_s: 900 },
    };
  }

  #takePart(body: Json): Response {
    if (this.takePartStatus !== 200) return json(this.takePartStatus, this.takePartAnswer);
    const isHosted = this.joinAnswer.mode === "hosted";
    const ticket = isHosted ? "guest-id" : "guest-ticket";
    if (!isHosted) this.names.set("me", String(body.name));
    const visitor = {
      id: isHosted ? null : "me",
      name: body.name,
      is_manager: false,
      is_signed_in: false,
      is_persistent: true,
    };
    // On our hub each join has a fresh ticket; the service's id stays the same, if the browser keeps the cookie.
    const known = isHosted ? { ticket, visitor } : { visitor };
    if (this.keepsCookies) this.joinAnswer = { ...this.joinAnswer, ...known };
    return json(200, { ticket, ticket_expires_in_s: isHosted ? null : 43_200, visitor });
  }

  #navigator(): Navigator {
    const sendBeacon = (url: string, blob: Blob) => {
      void blob.text().then((text) => this.beacons.push({ url, type: blob.type, ...JSON.parse(text) }));
      return true;
    };
    return { onLine: true, sendBeacon, locks: new FakeLocks() } as unknown as Navigator;
  }
}

type LockOptions = { mode: string; ifAvailable?: boolean };

/** Shared locks are granted at once, exclusive ones (of other names) one after the other. */
export class FakeLocks {
  readonly held: { name: string; mode: string }[] = [];
  readonly #queues = new Map<string, Promise<void>>();

  async request(
    name: string,
    { mode, ifAvailable }: LockOptions,
    callback: (lock: { name: string } | null) => Promise<void> | undefined,
  ): Promise<void> {
    const lock = { name, mode };
    if (ifAvailable && this.held.some((other) => other.name === name)) return callback(null);
    const before = this.#queues.get(name);
    const use = async () => {
      this.held.push(lock);
      try {
        await callback(lock);
      } finally {
        this.held.splice(this.held.indexOf(lock), 1);
      }
    };
    const used = before && !ifAvailable ? before.then(use) : use();
    if (mode === "exclusive")
      this.#queues.set(
        name,
        used.catch(() => {}),
      );
    await used;
  }

  async query(): Promise<LockManagerSnapshot> {
    return { held: this.held as LockInfo[], pending: [] };
  }
}

export function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}
