import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import { type Changes, Chat, guarded, type HistoryPage } from "./chat";
import { loadHubSdk } from "./hub-sdk";
import { type Cursor, changeFrom, fromUnix, type Json, listOf, messageFrom, numberOrNull } from "./wire";

/**
 * A chat on our own hub: tickets, changes since a cursor, idempotent sends.
 *
 * It reads the raw records, since the SDK drops the keys that our hub adds.
 */
export class HubChat extends Chat {
  override readonly isGapProof = true;
  protected override readonly loadSdk = loadHubSdk;
  #isManager = false;
  /** The hub's time, and when it was asked for by a clock that nobody sets: too late rather than too early. */
  #clock: { readonly hubMs: number; readonly askedAt: number } | null = null;

  override get selfId(): string | null {
    return this.access.visitor.id;
  }

  override get selfName(): string | null {
    return null;
  }

  override get isManager(): boolean {
    return this.#isManager;
  }

  override get now(): Date | null {
    const clock = this.#clock;
    return clock && new Date(clock.hubMs + performance.now() - clock.askedAt);
  }

  override async history(beforeId: string | null, limit: number): Promise<HistoryPage> {
    const answer = await this.#read("GetChatroomHistory", this.access.chatroomId, beforeId, limit);
    return {
      messages: listOf(answer, messageFrom),
      cursor: (answer?.cursor as Cursor | undefined) ?? null,
      hasMore: answer?.has_more === true,
      total: numberOrNull(answer?.total),
    };
  }

  override async changes(cursor: Cursor | null): Promise<Changes> {
    const answer = await this.#read("GetChatroomChanges", this.access.chatroomId, cursor, 100);
    return {
      changes: listOf(answer, changeFrom),
      cursor: (answer?.cursor as Cursor | undefined) ?? cursor,
      hasMore: answer?.has_more === true,
      total: numberOrNull(answer?.total),
    };
  }

  /** With a ticket given, the SDK neither reads nor writes the browser's storage (Q27). */
  protected override async newCore(): Promise<ChatixCore> {
    return this.makeCore(this.access.ticket ?? "");
  }

  protected override listen(core: ChatixCore): void {
    const hub = core.chat.connection.hubConnection;
    if (!hub) return;
    const ours = (chatroomId: unknown) => chatroomId === this.access.chatroomId;
    // Q14, Q15: with the room id, which the SDK's own handlers drop; and a handler never throws nor returns.
    const on = (event: string, handle: (data: unknown) => void) =>
      hub.on(event, (data: unknown, chatroomId: unknown) => {
        if (ours(chatroomId)) guarded(() => handle(data));
      });
    on("ApplyChatroomMessage", (data) =>
      given(messageFrom(data), (message) => this.listener.received(message)),
    );
    on("OnUpdateChatroomMessage", (data) =>
      given(messageFrom(data), (message) => this.listener.updated(message)),
    );
    on("OnDeleteChatroomMessage", (id) => this.listener.deleted(String(id)));
    for (const event of ["OnDisconnectVisitorFromChatroom", "OnDisconnectManagerFromChatroom"]) {
      on(event, (person) => {
        if ((person as Json | null)?.uuid === this.selfId) this.listener.removed();
      });
    }
    hub.on("OnManagerRightsChanged", (isManager: unknown) => {
      this.#isManager = isManager === true;
      guarded(() => this.listener.rightsChanged(this.#isManager));
    });
    hub.on("OnChatroomPresence", (chatroomId: unknown, count: unknown) => {
      if (ours(chatroomId)) guarded(() => this.listener.crowdChanged(numberOrNull(count) ?? 0));
    });
    hub.on("OnComeAgain", (afterMs: unknown) => {
      if (typeof afterMs === "number" && afterMs >= 0) this.comeAgainMs = afterMs;
    });
    const closedAsIn = (room: Json | null) => this.listener.closedChanged(room?.is_closed === true);
    hub.on("OnUpdateChatroom", (room: Json | null) => {
      if (ours(room?.id)) guarded(() => closedAsIn(room));
    });
    hub.on("OnRestoreChatroom", (room: Json | null) => {
      if (!ours(room?.id)) return;
      guarded(() => closedAsIn(room));
      guarded(() => this.listener.goneChanged(false));
    });
    hub.on("OnDeleteChatroom", (chatroomId: unknown) => {
      if (ours(chatroomId)) guarded(() => this.listener.goneChanged(true));
    });
  }

  /**
   * Ask for messages. What the hub says with them is true now: whether the thread is closed, which the site may have
   * known otherwise, what time it is, and whether the reader is a manager.
   */
  async #read(method: string, ...parameters: unknown[]): Promise<Json | null> {
    const askedAt = performance.now();
    const answer = await this.invoke(method, ...parameters);
    if (typeof answer?.is_closed === "boolean") this.listener.closedChanged(answer.is_closed);
    if (typeof answer?.now === "number") this.#clock = { hubMs: fromUnix(answer.now).getTime(), askedAt };
    this.#isManager = answer?.is_manager === true;
    return answer;
  }

  /** Call a method of the hub. */
  invoke(method: string, ...parameters: unknown[]): Promise<Json | null> {
    return this.call(async () => ((await this.hub?.invoke(method, ...parameters)) ?? null) as Json | null);
  }
}

function given<T>(value: T | null, action: (value: T) => void): void {
  if (value !== null) action(value);
}
