/** The wire strings are those of ASP.NET Core's HubProtocol.md and TransportProtocols.md. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SERVER_TIMEOUT_MS } from "../../browser/sdk/line";
import { WebSocketLine } from "../../browser/sdk/web-socket-line";

const END = "\u001e";

/** A socket that is driven by hand. */
class HandSocket {
  static last: HandSocket;
  readonly url: string;
  readonly sent: string[] = [];
  isClosed = false;
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor(url: string) {
    this.url = url;
    HandSocket.last = this;
  }

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.isClosed = true;
  }
}

const told = vi.fn();
const closed = vi.fn();
let going = new AbortController();
const frame = (data: unknown) => HandSocket.last.onmessage?.({ data });

function newLine(): WebSocketLine {
  return new WebSocketLine("ws://hub.test/v1/chat?id=token", "connection-1", { told, closed }, going.signal);
}

async function openLine(): Promise<WebSocketLine> {
  const line = newLine();
  HandSocket.last.onopen?.();
  frame(`{}${END}`);
  await line.ready;
  return line;
}

const outcomeOf = (promise: Promise<unknown>) =>
  promise.then(
    (value) => value,
    (error: Error) => error.message,
  );

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", HandSocket);
  going = new AbortController();
  told.mockReset();
  closed.mockReset();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the handshake", () => {
  test("comes first, and its answer makes the line ready", async () => {
    const line = await openLine();
    expect(HandSocket.last.url).toBe("ws://hub.test/v1/chat?id=token");
    expect(HandSocket.last.sent).toEqual([`{"protocol":"json","version":1}${END}`]);
    expect(line.connectionId).toBe("connection-1");
  });

  test("that is refused says why, and that the socket got through", async () => {
    const line = newLine();
    HandSocket.last.onopen?.();
    frame(`{"error":"Requested protocol 'json' is not available."}${END}`);
    expect(await outcomeOf(line.ready)).toBe("Requested protocol 'json' is not available.");
    expect([line.hasOpened, HandSocket.last.isClosed]).toEqual([true, true]);
  });

  test("a socket that is refused, or neither opens nor fails, did not get through", async () => {
    const refused = newLine();
    HandSocket.last.onerror?.();
    expect(await outcomeOf(refused.ready)).toBe("The connection was closed.");
    const held = newLine();
    const outcome = outcomeOf(held.ready);
    vi.advanceTimersByTime(8_000);
    expect(await outcome).toBe("The hub is silent.");
    expect([refused.hasOpened, held.hasOpened, closed.mock.calls.length]).toEqual([false, false, 0]);
  });
});

describe("calls", () => {
  test("are told apart by their numbers, whatever the order of the answers", async () => {
    const line = await openLine();
    const answers = [line.invoke("Add", [1, null]), line.invoke("Nothing", []), line.invoke("Fail", [])];
    expect(HandSocket.last.sent.slice(1)).toEqual([
      `{"type":1,"invocationId":"0","target":"Add","arguments":[1,null]}${END}`,
      `{"type":1,"invocationId":"1","target":"Nothing","arguments":[]}${END}`,
      `{"type":1,"invocationId":"2","target":"Fail","arguments":[]}${END}`,
    ]);
    frame(
      `{"type":3,"invocationId":"2","error":"It didn't work!"}${END}{"type":3,"invocationId":"1"}${END}` +
        `{"type":3,"invocationId":"0","result":42}${END}{"type":3,"invocationId":"99","result":1}${END}`,
    );
    expect(await Promise.all(answers.map(outcomeOf))).toEqual([42, undefined, "It didn't work!"]);
  });

  test("of ours are told in order; pings and what we do not know are passed over", async () => {
    await openLine();
    frame(
      `{"type":6}${END}{"type":1,"target":"Send","arguments":[42]}${END}{"type":99}${END}` +
        `{"type":1,"target":"Bye","arguments":[]}${END}`,
    );
    expect(told.mock.calls).toEqual([
      ["Send", [42]],
      ["Bye", []],
    ]);
  });

  test("that are open when the line ends fail", async () => {
    const line = await openLine();
    const answer = outcomeOf(line.invoke("Add", []));
    HandSocket.last.onclose?.();
    expect(await answer).toBe("The connection was closed.");
    expect(closed).toHaveBeenCalledOnce();
  });
});

describe("the end", () => {
  test("is the hub's close message, and nothing is told after it", async () => {
    await openLine();
    frame(
      `{"type":7,"error":"Connection closed because of an error!","allowReconnect":true}${END}` +
        `{"type":1,"target":"Send","arguments":[]}${END}`,
    );
    expect(closed.mock.calls).toEqual([[new Error("Connection closed because of an error!")]]);
    expect(told).not.toHaveBeenCalled();
  });

  test("is said to the hub when it is ours, once", async () => {
    const line = await openLine();
    await line.stop();
    await line.stop();
    expect(HandSocket.last.sent.slice(1)).toEqual([`{"type":7}${END}`]);
    expect([HandSocket.last.isClosed, closed.mock.calls.length]).toEqual([true, 1]);
  });

  test("comes when the hub is silent for long, and not while it pings", async () => {
    await openLine();
    vi.advanceTimersByTime(SERVER_TIMEOUT_MS - 1);
    frame(`{"type":6}${END}`);
    vi.advanceTimersByTime(SERVER_TIMEOUT_MS - 1);
    expect(closed).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(closed.mock.calls).toEqual([[new Error("The hub is silent.")]]);
  });

  test("comes when what the hub sends is nonsense", async () => {
    await openLine();
    frame(`{"type":1,${END}`);
    expect(closed.mock.calls).toEqual([[new Error("The hub cannot be understood.")]]);
  });
});

test("a ping goes out when nothing else did for 15 seconds", async () => {
  const line = await openLine();
  vi.advanceTimersByTime(10_000);
  void outcomeOf(line.invoke("Add", []));
  frame(`{"type":6}${END}`);
  vi.advanceTimersByTime(14_999);
  expect(HandSocket.last.sent).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(HandSocket.last.sent[2]).toBe(`{"type":6}${END}`);
  await line.stop();
  vi.advanceTimersByTime(60_000);
  expect(HandSocket.last.sent).toHaveLength(4);
});
