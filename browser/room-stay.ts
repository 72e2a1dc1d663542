/** A page's stay in a chatroom: what is noted in the ledger, and how the room is left. */

import { newKey } from "./keys";
import { loadReturning } from "./load-returning";
import type { RoomLedger } from "./room-ledger";
import type { Chat } from "./sdk/chat";
import type { Access, Site } from "./site";

export class RoomStay {
  readonly #site: Site;
  /** Only for readers who are known again; of others nothing is noted. */
  #ledger: RoomLedger | null = null;
  #access: Access | null = null;
  #isHere = false;
  /** The last connection that joined; it is what a beacon withdraws, also when the line is down by then. */
  #connectionId: string | null = null;

  constructor(site: Site) {
    this.#site = site;
  }

  /** The site lets us in; the room is about to be joined. */
  async begin(access: Access): Promise<void> {
    this.#access = access;
    this.#isHere = true;
    const isNoted = access.mode === "hosted" || access.visitor.isPersistent || this.#ledger !== null;
    if (isNoted) await this.#openLedger(access);
    // Before the room is joined: a tab that goes meanwhile must not take the visitor out for this one.
    if (access.mode === "hosted") this.note(null);
  }

  /** Resolves when other tabs can see that the room is shown here; or when that cannot be told to them. */
  async #openLedger(access: Access): Promise<void> {
    const part = await loadReturning().catch(() => null);
    if (part) this.#ledger ??= new part.RoomLedger(newKey());
    if (this.#isHere) await this.#ledger?.hold(access);
  }

  /** The room is joined by this connection. */
  joined(connectionId: string | null): void {
    this.#connectionId = connectionId;
  }

  /** Write down that this page is in the room, for the next start. */
  note(connectionId: string | null): void {
    const access = this.#access;
    if (!access) return;
    if (this.#ledger) this.#write(this.#ledger, access, connectionId);
    else
      void this.#openLedger(access).then(() => {
        if (this.#ledger && this.#isHere) this.#write(this.#ledger, access, connectionId);
      });
  }

  #write(ledger: RoomLedger, access: Access, connectionId: string | null): void {
    const { mode, sdk, apiUrl, websiteId, chatroomId } = access;
    const { endpoint } = this.#site;
    const isBySite = isKnownToSite(access);
    ledger.write({ mode, sdk, endpoint, apiUrl, websiteId, chatroomId, connectionId, isBySite });
  }

  /** Leave at once, as a page must that goes away. */
  depart(chat: Chat | null): void {
    this.#clearLedger(chat);
    const leaves = this.#mayLeave();
    chat?.depart(leaves);
    // The beacon covers what the socket does not get across any more; it names this connection only.
    if (leaves) this.#beacon();
  }

  /** Leave while there is time to hear it acknowledged. */
  close(chat: Chat | null): void {
    const entry = this.#ledger?.entry;
    this.#clearLedger(chat);
    const leaves = this.#mayLeave();
    if (chat && leaves) {
      const left = chat.leave().catch(() => {
        this.#beacon();
        // The line that was open was dead: who is known by it alone is taken out at the next start.
        if (entry?.mode === "hosted" && !entry.isBySite) this.#ledger?.leaveBehind(entry);
      });
      void left.then(() => chat.depart(false));
    } else {
      chat?.depart(false);
      if (leaves) this.#beacon();
    }
  }

  /**
   * On the hosted service a leave takes the visitor out for all tabs; on our hub only this connection.
   *
   * Asked when the own entry is erased: of two tabs that go at once, one at least sees no other.
   */
  #mayLeave(): boolean {
    const access = this.#access;
    return access !== null && (access.mode === "hub" || this.#ledger?.isShownElsewhere(access) === false);
  }

  /** Only the site can do it, and only for a visitor that it knows. */
  #beacon(): void {
    const access = this.#access;
    if (!access || !isKnownToSite(access)) return;
    const connectionId = access.mode === "hub" ? this.#connectionId : null;
    if (access.mode === "hub" && !connectionId) return;
    this.#connectionId = null;
    this.#site.leave([{ chatroomId: access.chatroomId, connectionId }]);
  }

  /** On the hosted service, what could not be said over an open line is left to the next start. */
  #clearLedger(chat: Chat | null): void {
    this.#isHere = false;
    if (this.#access?.mode === "hosted" && !chat?.isConnected) this.#ledger?.stop();
    else this.#ledger?.erase();
  }
}

/** Whether the site knows which visitor of the chat service this is, so that it can take it out. */
const isKnownToSite = ({ mode, ticket }: Access): boolean => mode === "hub" || ticket !== null;
