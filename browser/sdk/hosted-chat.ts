import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { Access, Admission } from "../site";
import { findLocks } from "../storage";
import { LineError } from "./chat";
import { DocumentedChat } from "./documented-chat";
import { TicketRefusedError } from "./hosted-errors";
import { loadSdk } from "./load-sdk";

/** Where the SDK keeps its visitor id. */
const VISITOR_ID_KEY = "chatix__visitorId_v1";

/** Ids of visitors whose storage is blocked: one for as long as the page lives. */
const visitorIds = new Map<string, string>();

/** Ids from the site of which the service said that they are invalid, after letting them in. */
const invalidTickets = new Set<string>();

/**
 * A chat on the hosted service, by an SDK object of our own.
 *
 * Whoever is signed in or has taken part has an id from the site; others have one that the SDK asks for.
 */
export class HostedChat extends DocumentedChat {
  readonly isVisitorOfSite = true;

  isOf({ ticket }: Admission): boolean {
    return ticket === this.access.ticket;
  }

  /** Q26: of several tabs and sections on a first visit, one gets the id that all will use. */
  override async start(): Promise<void> {
    const { websiteId, ticket } = this.access;
    if (ticket) return this.#startWith(ticket);
    const locks = findLocks();
    if (!locks || !canStore() || findVisitorId(websiteId)) return this.#startAsAccepted();
    await locks.request(`chatix:first-visit:${websiteId}`, { mode: "exclusive" }, () =>
      this.#startAsAccepted(),
    );
  }

  /** Q11: of an id from the site that is not accepted, the site is told. */
  async #startWith(ticket: string): Promise<void> {
    if (invalidTickets.has(ticket)) throw new TicketRefusedError("The visitor's id is invalid.", false);
    try {
      await super.start();
    } catch (error) {
      if (error instanceof LineError && isRefusedAtTheDoor(error)) {
        throw new TicketRefusedError(error.message, false);
      }
      throw error;
    }
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
    const { ticket } = access;
    const isSameVisitor = ticket === this.access.ticket && !(ticket && invalidTickets.has(ticket));
    const address = /[?&]visitorId=([^&]*)/.exec(this.hub?.baseUrl ?? "");
    return super.canRestart(access) && isSameVisitor && address?.[1] === (ticket ?? this.selfId);
  }

  /** Q27: where storage is blocked the SDK has to be given an id, as it would throw when it looks for one. */
  protected override async newCore(): Promise<ChatixCore> {
    const { websiteId, ticket } = this.access;
    if (ticket) return this.makeCore(ticket);
    if (canStore()) return this.makeCore(null);
    let id = visitorIds.get(websiteId);
    if (!id) {
      const { axios } = await loadSdk();
      const answer = await axios.get(`${this.access.apiUrl}/visitor/get-id?websiteId=${websiteId}`);
      id = String(answer.data);
      visitorIds.set(websiteId, id);
    }
    return this.makeCore(id);
  }

  protected override listen(core: ChatixCore): void {
    const { websiteId, ticket } = this.access;
    // Q11: the SDK goes on with an id of which it was just told that it is invalid.
    core.chat.connection.onInvalidVisitorIdConnected = () => {
      if (ticket) invalidTickets.add(ticket);
      else forgetVisitorId(websiteId);
      void this.drop();
    };
    Object.assign(core, this.handlers());
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
