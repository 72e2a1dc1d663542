/**
 * The one comment that is written but not yet acknowledged.
 *
 * It has one client key for all its attempts, those after it came back to its author included, so that a comment
 * which was stored while its acknowledgement got lost is not stored again.
 */

/** What the reader posted. */
export interface Draft {
  readonly text: string;
  /** The guest's name, when it has to be announced first; `null` when the site knows it. */
  readonly name: string | null;
}

export interface Pending extends Draft {
  readonly clientKey: string;
  /** Whether some attempt may have reached the service. */
  readonly mayHaveArrived: boolean;
}

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: "acknowledged" }
  /** The line broke or was not there; the comment waits for the next one. */
  | { readonly kind: "interrupted"; readonly mayHaveArrived: boolean }
  /** Asking again would not help; the reader gets the text back, and the reason. */
  | { readonly kind: "refused"; readonly error: unknown };

export type OutboxState =
  | { readonly kind: "empty" }
  | { readonly kind: "sending" | "waiting"; readonly pending: Pending }
  | { readonly kind: "refused"; readonly error: unknown };

export class Outbox {
  #state: OutboxState = { kind: "empty" };
  /** The comment that came back last: posted again as it is, it is the same one, which may have been stored. */
  #returned: Pending | null = null;
  readonly #attempt: (pending: Pending) => Promise<Outcome>;
  readonly #changed: (state: OutboxState, previous: OutboxState) => void;

  /**
   * @param attempt Tries once to deliver; never rejects.
   * @param changed Hears of every change of state.
   */
  constructor(
    attempt: (pending: Pending) => Promise<Outcome>,
    changed: (state: OutboxState, previous: OutboxState) => void,
  ) {
    this.#attempt = attempt;
    this.#changed = changed;
  }

  get pending(): Pending | null {
    return "pending" in this.#state ? this.#state.pending : null;
  }

  /** The comment, if nobody is trying to deliver it just now. */
  get waiting(): Pending | null {
    return this.#state.kind === "waiting" ? this.#state.pending : null;
  }

  /** Take a comment in and try to deliver it; ignored while another one is under way. */
  async submit(draft: Draft): Promise<void> {
    if (this.pending) return;
    const returned = this.#returned?.text === draft.text ? this.#returned : null;
    this.#returned = null;
    const { clientKey, mayHaveArrived } = returned ?? { clientKey: newKey(), mayHaveArrived: false };
    await this.#send({ ...draft, clientKey, mayHaveArrived });
  }

  /** The line is back: try again what is waiting. */
  async retry(): Promise<void> {
    if (this.waiting) await this.#send(this.waiting);
  }

  /** The comment was found in the thread: its acknowledgement had got lost. */
  acknowledge(): void {
    if (this.pending) this.#become({ kind: "empty" });
  }

  /** Stop trying and give the text back to the reader. */
  giveBack(error: unknown): void {
    if (this.pending) this.#return(this.pending, error);
  }

  #return(pending: Pending, error: unknown): void {
    this.#returned = pending;
    this.#become({ kind: "refused", error });
  }

  async #send(pending: Pending): Promise<void> {
    this.#become({ kind: "sending", pending });
    const outcome = await this.#attempt(pending);
    if (this.pending?.clientKey !== pending.clientKey) return;
    switch (outcome.kind) {
      case "acknowledged":
        this.#become({ kind: "empty" });
        break;
      case "refused":
        this.#return(pending, outcome.error);
        break;
      case "interrupted": {
        const mayHaveArrived = pending.mayHaveArrived || outcome.mayHaveArrived;
        this.#become({ kind: "waiting", pending: { ...pending, mayHaveArrived } });
      }
    }
  }

  #become(state: OutboxState): void {
    const previous = this.#state;
    this.#state = state;
    this.#changed(state, previous);
  }
}

/** `crypto.randomUUID` is missing on plain http; random bytes are not. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
