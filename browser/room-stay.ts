/** A page's stay in a chatroom, and how it is left. */

import { loadReturning } from "./load-returning";
import type { End, NotedStay } from "./noted-stay";
import type { Chat } from "./sdk/chat";
import type { Access, Site } from "./site";

export class RoomStay {
  readonly #site: Site;
  /** Only for readers who are known again; of others nothing is noted. */
  #noted: NotedStay | null = null;
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
    const isNoted = access.mode === "hosted" || access.visitor.isPersistent || this.#noted !== null;
    if (isNoted) await this.#hold(access);
    // Before the room is joined: a tab that goes meanwhile must not take the visitor out for this one.
    if (access.mode === "hosted") this.note(null);
  }

  /** Resolves when other tabs can see that the room is shown here; or when that cannot be told to them. */
  async #hold(access: Access): Promise<void> {
    const part = await loadReturning().catch(() => null);
    if (part) this.#noted ??= new part.NotedStay();
    if (this.#isHere) await this.#noted?.hold(access);
  }

  /** The room is joined by this connection. */
  joined(connectionId: string | null): void {
    this.#connectionId = connectionId;
  }

  /** Write down that this page is in the room, for the next start. */
  note(connectionId: string | null): void {
    const access = this.#access;
    if (!access) return;
    const write = () => this.#noted?.write(access, this.#site.endpoint, connectionId);
    if (this.#noted) write();
    else void this.#hold(access).then(() => this.#isHere && write());
  }

  /** Leave at once, as a page must that goes away. */
  depart(chat: Chat | null): void {
    const { mayLeave } = this.#end(chat);
    chat?.depart(mayLeave);
    // The beacon covers what the socket does not get across any more; it names this connection only.
    if (mayLeave) this.#beacon();
  }

  /** Leave while there is time to hear it acknowledged. */
  close(chat: Chat | null): void {
    const { mayLeave, leaveBehind } = this.#end(chat);
    if (chat && mayLeave) {
      const left = chat.leave().catch(() => {
        this.#beacon();
        leaveBehind?.();
      });
      void left.then(() => chat.depart(false));
    } else {
      chat?.depart(false);
      if (mayLeave) this.#beacon();
    }
  }

  #end(chat: Chat | null): End {
    const access = this.#access;
    this.#isHere = false;
    return (
      (access && this.#noted?.end(access, chat?.isConnected === true)) ?? { mayLeave: access?.mode === "hub" }
    );
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
}

/** Whether the site knows which visitor of the chat service this is, so that it can take it out. */
export const isKnownToSite = ({ mode, ticket }: Access): boolean => mode === "hub" || ticket !== null;
