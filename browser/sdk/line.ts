/** One connection to a hub, from its start to its end, whatever carries it. */

/** Longer than two of the hub's pings, which come every 15 s. */
export const SERVER_TIMEOUT_MS = 35_000;

export interface Line {
  /** Its public name. */
  readonly connectionId: string | null;
  /** Call a hub method; rejects with the hub's sentence, or with why the line ended. */
  invoke(method: string, parameters: readonly unknown[]): Promise<unknown>;
  /** Hear of one more method of ours. */
  listen(method: string): void;
  /** End it, saying so to the hub. */
  stop(): Promise<void>;
}

/** What the user of a line hears. */
export interface LineEvents {
  /** The hub calls a method of ours. */
  told(method: string, parameters: readonly unknown[]): void;
  /** The line, which was open, has ended, by whomever; nothing comes after it. */
  closed(error?: Error): void;
}
