/**
 * What chatix-core's `import { HubConnectionBuilder, LogLevel } from "@aspnet/signalr"` is bundled to.
 *
 * The current client of the same protocol, made fit for a page that lives through outages: it leads to the
 * address that the site named, starts again only when it is told to, and notices a silent hub.
 */

import { HubConnectionBuilder as Builder, type HubConnection, HubConnectionState } from "@microsoft/signalr";
import { rebase } from "./api-base";

/** Longer than two of the hub's pings, which come every 15 s. */
export const SERVER_TIMEOUT_MS = 35_000;

/** A hub connection that stays closed until `start()` is called again. */
export interface RestartableConnection extends HubConnection {
  /** What `onclose` is in the client; the name that the SDK uses does nothing here. */
  whenClosed(callback: (error?: Error) => void): void;
}

/** The SDK names the levels; we decide what is logged. */
export enum LogLevel {
  Error = 4,
  None = 6,
}

export class HubConnectionBuilder {
  readonly #builder = new Builder();

  withUrl(url: string): this {
    this.#builder.withUrl(rebase(url));
    return this;
  }

  /** Log nothing: the client's lines hold URLs, and with them tickets. */
  configureLogging(_level: LogLevel): this {
    this.#builder.configureLogging(LogLevel.None);
    return this;
  }

  build(): RestartableConnection {
    return tame(this.#builder.build());
  }
}

function tame(connection: HubConnection): RestartableConnection {
  const whenClosed = connection.onclose.bind(connection);
  return Object.defineProperties(connection, {
    whenClosed: { value: whenClosed },
    // Q5, Q6: the SDK restarts from here at once, unawaited, even after its own stop().
    onclose: { value: () => {} },
    // Q18: the SDK sets 11.6 days.
    serverTimeoutInMilliseconds: { get: () => SERVER_TIMEOUT_MS, set: () => {} },
    // Q13: the SDK reads the old client's numbers.
    connectionState: { get: () => (connection.state === HubConnectionState.Connected ? 1 : 0) },
  }) as RestartableConnection;
}
