/**
 * What chatix-core's `import { HubConnectionBuilder, LogLevel } from "@aspnet/signalr"` is bundled to.
 *
 * A client of the same protocol for a page that lives through outages: it leads to the address that the site
 * named, starts again only when it is told to, and notices a silent hub. WebSockets are its own; the published
 * client is fetched where they do not get through.
 */

import type { Line, LineEvents } from "../line";
import { openLine } from "../open-line";
import { WebSocketLine } from "../web-socket-line";
import { rebase } from "./api-base";

type Handler = (...parameters: never[]) => unknown;

/** The SDK names the levels; nothing is logged. */
export enum LogLevel {
  Error = 4,
}

export class HubConnectionBuilder {
  #url = "";

  withUrl(url: string): this {
    this.#url = rebase(url);
    return this;
  }

  configureLogging(_level: LogLevel): this {
    return this;
  }

  build(): RestartableConnection {
    return new RestartableConnection(this.#url);
  }
}

/** A hub connection that stays closed until `start()` is called again. */
export class RestartableConnection {
  /** Where the next start leads. */
  baseUrl: string;
  state: "Disconnected" | "Connecting" | "Connected" = "Disconnected";
  readonly #handlers = new Map<string, { readonly method: string; readonly handlers: Handler[] }>();
  readonly #closeCallbacks: ((error?: Error) => void)[] = [];
  #line: Line | null = null;
  #attempt = new AbortController();
  /** A WebSocket that got through once gets through again: if it does not, the hub is down. */
  #hasHadWebSocket = false;

  constructor(url: string) {
    this.baseUrl = url;
  }

  /** The public name of the open connection. */
  get connectionId(): string | null {
    return this.#line?.connectionId ?? null;
  }

  /** Q18: the SDK sets 11.6 days; the lines have a limit of their own. */
  declare serverTimeoutInMilliseconds: number;

  on(method: string, handler: Handler): void {
    const key = method.toLowerCase();
    const known = this.#handlers.get(key);
    if (known) known.handlers.push(handler);
    else {
      this.#handlers.set(key, { method, handlers: [handler] });
      this.#line?.listen(method);
    }
  }

  /** Q5, Q6: the SDK restarts from here at once, unawaited, even after its own stop(). */
  onclose(_callback: () => void): void {}

  /** What `onclose` is in the published client. */
  whenClosed(callback: (error?: Error) => void): void {
    this.#closeCallbacks.push(callback);
  }

  async invoke(method: string, ...parameters: unknown[]): Promise<unknown> {
    // Q17: what was never sent can be sent again.
    if (!this.#line) throw new Error("There is no connection.");
    return this.#line.invoke(method, parameters);
  }

  async start(): Promise<void> {
    if (this.state !== "Disconnected") throw new Error("The connection was started before.");
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.state = "Connecting";
    try {
      this.#line = await this.#open(attempt);
      this.state = "Connected";
    } catch (error) {
      if (this.#attempt === attempt) this.state = "Disconnected";
      throw error;
    }
  }

  /** Close it, or give up its start. */
  async stop(): Promise<void> {
    if (this.#line) return this.#line.stop();
    this.#attempt.abort();
    this.state = "Disconnected";
  }

  async #open(attempt: AbortController): Promise<Line> {
    const { signal } = attempt;
    const events: LineEvents = {
      told: (method, parameters) => this.#tell(method, parameters),
      closed: (error) => {
        attempt.abort(error);
        if (this.#attempt === attempt) this.#onEnd(error);
      },
    };
    const methods = [...this.#handlers.values()].map(({ method }) => method);
    const line = await openLine(this.baseUrl, methods, events, signal, this.#hasHadWebSocket);
    if (signal.aborted) await line.stop();
    signal.throwIfAborted();
    this.#hasHadWebSocket ||= line instanceof WebSocketLine;
    return line;
  }

  #onEnd(error?: Error): void {
    // Before that it is a start that fails.
    if (!this.#line) return;
    this.#line = null;
    this.state = "Disconnected";
    for (const callback of this.#closeCallbacks) guarded(() => callback(error));
  }

  /** HubProtocol.md does not say whether case counts; in the published client it does not. */
  #tell(method: string, parameters: readonly unknown[]): void {
    for (const handler of this.#handlers.get(method.toLowerCase())?.handlers ?? [])
      guarded(() => handler(...(parameters as never[])));
  }
}

/** Q15: what a handler throws must not keep the others from what follows. */
function guarded(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    reportError(error);
  }
}
