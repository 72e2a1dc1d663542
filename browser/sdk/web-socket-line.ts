/**
 * SignalR's JSON protocol on a WebSocket: what a comment section needs of it, and no more.
 *
 * Sources: HubProtocol.md and TransportProtocols.md of ASP.NET Core SignalR. Calls are answered, not streamed.
 */

import { type Line, type LineEvents, SERVER_TIMEOUT_MS } from "./line";

const RECORD_END = "\u001e";
/** So long without a word from us, and the hub may think that we have gone. */
const PING_AFTER_MS = 15_000;
/** A proxy that neither lets the socket through nor refuses it. */
const OPEN_TIMEOUT_MS = 8_000;

/** HubProtocol.md, "Message types". */
const INVOCATION = 1;
const COMPLETION = 3;
const PING = 6;
const CLOSE = 7;

interface HubRecord {
  readonly type?: number;
  readonly target?: string;
  readonly arguments?: readonly unknown[];
  readonly invocationId?: string;
  readonly result?: unknown;
  readonly error?: string;
}

interface Call {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class WebSocketLine implements Line {
  readonly connectionId: string | null;
  /** Resolves after the handshake; rejects when it does not come to that. */
  readonly ready: Promise<void>;
  /** Whether the socket was let through, whatever the hub said then. */
  hasOpened = false;
  readonly #socket: WebSocket;
  readonly #events: LineEvents;
  readonly #calls = new Map<string, Call>();
  #start: { resolve(): void; reject(error: Error): void } | null = null;
  #hasEnded = false;
  #calledSoFar = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #ping: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param url With the token of the negotiated connection in it.
   * @param signal Says that the line is not wanted any more.
   */
  constructor(url: string, connectionId: string | null, events: LineEvents, signal: AbortSignal) {
    this.connectionId = connectionId;
    this.#events = events;
    this.ready = new Promise((resolve, reject) => {
      this.#start = { resolve, reject };
    });
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.hasOpened = true;
      this.#expectWithin(SERVER_TIMEOUT_MS);
      this.#send({ protocol: "json", version: 1 });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = socket.onerror = () => this.#end(new Error("The connection was closed."));
    signal.addEventListener("abort", () => this.#end());
    this.#expectWithin(OPEN_TIMEOUT_MS);
  }

  invoke(method: string, parameters: readonly unknown[]): Promise<unknown> {
    const invocationId = String(this.#calledSoFar++);
    return new Promise((resolve, reject) => {
      this.#calls.set(invocationId, { resolve, reject });
      this.#send({ type: INVOCATION, invocationId, target: method, arguments: parameters });
    });
  }

  /** All methods are told of. */
  listen(): void {}

  async stop(): Promise<void> {
    if (!this.#start && !this.#hasEnded) this.#send({ type: CLOSE });
    this.#end();
  }

  #send(record: object): void {
    this.#socket.send(JSON.stringify(record) + RECORD_END);
    clearTimeout(this.#ping);
    this.#ping = setTimeout(() => this.#send({ type: PING }), PING_AFTER_MS);
  }

  #expectWithin(timeoutMs: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(new Error("The hub is silent.")), timeoutMs);
  }

  /** TransportProtocols.md, "Text-based transports": a frame holds whole records, one or several. */
  #receive(data: unknown): void {
    this.#expectWithin(SERVER_TIMEOUT_MS);
    try {
      for (const record of String(data).split(RECORD_END)) if (record) this.#take(JSON.parse(record));
    } catch {
      this.#end(new Error("The hub cannot be understood."));
    }
  }

  #take(record: HubRecord): void {
    if (this.#hasEnded) return;
    if (this.#start) this.#shake(record);
    else if (record.type === INVOCATION) this.#events.told(record.target ?? "", record.arguments ?? []);
    else if (record.type === COMPLETION) this.#settle(record);
    else if (record.type === CLOSE) this.#end(record.error ? new Error(record.error) : undefined);
  }

  /** HubProtocol.md, "Overview": the answer to the handshake has no type, and an error if it is a refusal. */
  #shake({ error }: HubRecord): void {
    if (error) {
      this.#end(new Error(error));
      return;
    }
    this.#start?.resolve();
    this.#start = null;
  }

  #settle({ invocationId = "", result, error }: HubRecord): void {
    const call = this.#calls.get(invocationId);
    this.#calls.delete(invocationId);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  }

  #end(error?: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#silence);
    clearTimeout(this.#ping);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    const reason = error ?? new Error("The connection was closed.");
    for (const call of this.#calls.values()) call.reject(reason);
    if (this.#start) this.#start.reject(reason);
    else this.#events.closed(error);
  }
}
