/** What other tabs, and the next start, can know of a page's stay in a chatroom. */

import { newKey } from "./keys";
import { RoomLedger } from "./room-ledger";
import { isKnownToSite } from "./room-stay";
import type { Access } from "./site";

/** How a stay ends. */
export interface End {
  /** Whether the visitor is to be taken out of the room. */
  readonly mayLeave: boolean;
  /** Leave it to the next start, since nobody has heard the leave. */
  leaveBehind?(): void;
}

export class NotedStay {
  readonly #ledger = new RoomLedger(newKey());

  /** Resolves when other tabs can see that the room is shown here. */
  hold(access: Access): Promise<void> {
    return this.#ledger.hold(access);
  }

  /**
   * Write down that this page is in the room.
   *
   * @param endpoint Where the site's views are.
   */
  write(access: Access, endpoint: string, connectionId: string | null): void {
    const { mode, sdk, apiUrl, websiteId, chatroomId } = access;
    const isBySite = isKnownToSite(access);
    this.#ledger.write({ mode, sdk, endpoint, apiUrl, websiteId, chatroomId, connectionId, isBySite });
  }

  /** @param isConnected Whether the leave can be said over an open line; else it is left to the next start. */
  end(access: Access, isConnected: boolean): End {
    const { entry } = this.#ledger;
    const isHosted = access.mode === "hosted";
    if (isHosted && !isConnected) this.#ledger.stop();
    else this.#ledger.erase();
    return {
      // On the hosted service a leave takes the visitor out for all tabs; on our hub only this connection. It is asked
      // when the own entry is erased: of two tabs that go at once, one at least sees no other.
      mayLeave: !isHosted || !this.#ledger.isShownElsewhere(access),
      leaveBehind: () => {
        // The line that was open was dead: who is known by it alone is taken out at the next start.
        if (entry?.mode === "hosted" && !entry.isBySite) this.#ledger.leaveBehind(entry);
      },
    };
  }
}
