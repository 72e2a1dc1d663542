/** What can go wrong on the hosted service only. */

import { LineError, type Missing } from "./chat";

/** What the chat needs is not on the page, or cannot be used. Not time will help, but that it comes. */
export class MissingError extends LineError {
  override readonly missing: Missing;

  /** @param untilItComes Resolves when it has come; rejects when the signal says that nobody waits any more. */
  constructor(message: string, untilItComes: (signal: AbortSignal) => Promise<void>) {
    super(message, false);
    const sentence =
      "The comments are part of this site’s chat, which has not loaded. They will come by themselves when it has.";
    this.missing = { untilItComes, sentence };
  }
}

/** The service let nobody in by the ticket that the site gave; the site can get another. */
export class TicketRefusedError extends LineError {
  override readonly isTicketRefused = true;
}
