/** Which client carries a line: our own on a WebSocket, the published one where that does not get through. */

import { beforeEach, expect, test, vi } from "vitest";
import type { LineEvents } from "../../browser/sdk/line";
import { loadFullClient } from "../../browser/sdk/load-full-client";
import { HubConnectionBuilder, LogLevel } from "../../browser/sdk/shims/signalr";
import { API_URL, FakeHub, json } from "./fake-hub";

const openByFullClient = vi.hoisted(() => vi.fn());
vi.mock("../../browser/sdk/load-full-client", () => ({
  loadFullClient: vi.fn(async () => ({ openByFullClient })),
}));

const HUB_URL = `${API_URL}/chat?visitorId=v&websiteId=w`;
const NEGOTIATED = {
  connectionId: "c",
  connectionToken: "t",
  negotiateVersion: 1,
  availableTransports: [{ transport: "WebSockets" }, { transport: "LongPolling" }],
};

/** A line of the published client. */
const otherLine = { connectionId: "other", invoke: vi.fn(), listen: vi.fn(), stop: vi.fn(async () => {}) };

let hub: FakeHub;
let sockets: string[];

const build = () => new HubConnectionBuilder().withUrl(HUB_URL).configureLogging(LogLevel.Error).build();
const answerNegotiate = (body: object, status = 200) => {
  const fetched = vi.fn(async (_url: string, _init: RequestInit) => json(status, body));
  vi.stubGlobal("fetch", fetched);
  return fetched;
};

/** A proxy that lets no WebSocket through. */
function blockWebSockets(): void {
  vi.stubGlobal(
    "WebSocket",
    class {
      onerror: (() => void) | null = null;
      constructor(url: string) {
        sockets.push(url);
        queueMicrotask(() => this.onerror?.());
      }
      close(): void {}
    },
  );
}

beforeEach(() => {
  hub = new FakeHub().install();
  sockets = [];
  vi.mocked(loadFullClient).mockClear();
  openByFullClient.mockReset().mockResolvedValue(otherLine);
});

test("a WebSocket that gets through needs nothing else", async () => {
  const connection = build();
  await connection.start();
  expect([connection.state, connection.connectionId]).toEqual(["Connected", "connection-1"]);
  expect(hub.lastSocket.url.href).toBe("ws://hub.test/v1/chat?visitorId=v&websiteId=w&id=token-1");
  expect(loadFullClient).not.toHaveBeenCalled();
});

test("negotiate is asked without headers of our own, so that another origin is asked once", async () => {
  const fetched = answerNegotiate({ error: "Not here." });
  await expect(build().start()).rejects.toThrow("Not here.");
  const url = `${API_URL}/chat/negotiate?visitorId=v&websiteId=w&negotiateVersion=1`;
  const init = { method: "POST", credentials: "include", signal: expect.any(AbortSignal) };
  expect(fetched.mock.calls).toEqual([[url, init]]);
});

test("a refusal is told with its status, and no other way is tried", async () => {
  answerNegotiate({}, 401);
  const connection = build();
  await expect(connection.start()).rejects.toThrow("Status code '401'");
  expect(connection.state).toBe("Disconnected");
  expect(loadFullClient).not.toHaveBeenCalled();
});

test("a service of version 0 is addressed by the connection's id", async () => {
  answerNegotiate({ connectionId: "c", availableTransports: NEGOTIATED.availableTransports });
  blockWebSockets();
  await build().start();
  expect(sockets).toEqual(["ws://hub.test/v1/chat?visitorId=v&websiteId=w&id=c"]);
});

test("where WebSockets are blocked the published client is fetched, and goes the other ways", async () => {
  blockWebSockets();
  const connection = build();
  const heard: unknown[][] = [];
  connection.on("Told", (...parameters: unknown[]) => heard.push(parameters));
  await connection.start();
  connection.on("Later", () => {});
  expect([connection.state, connection.connectionId]).toEqual(["Connected", "other"]);
  const [url, mayUseWebSocket, methods, events] = openByFullClient.mock.calls[0] as [
    string,
    boolean,
    string[],
    LineEvents,
  ];
  expect([url, mayUseWebSocket, methods]).toEqual([HUB_URL, false, ["Told"]]);
  expect(otherLine.listen.mock.calls).toEqual([["Later"]]);
  events.told("told", [1, 2]);
  expect(heard).toEqual([[1, 2]]);
  const closed = vi.fn();
  connection.whenClosed(closed);
  events.closed(new Error("gone"));
  expect(closed.mock.calls).toEqual([[new Error("gone")]]);
  expect(connection.state).toBe("Disconnected");
});

test.each([
  ["has no WebSockets", { ...NEGOTIATED, availableTransports: [{ transport: "LongPolling" }] }],
  ["sends elsewhere", { ...NEGOTIATED, url: "https://elsewhere.example/chat", accessToken: "a" }],
])("a service that %s is the published client's business", async (_what, body) => {
  answerNegotiate(body);
  await build().start();
  expect(openByFullClient.mock.calls[0]?.slice(0, 2)).toEqual([HUB_URL, true]);
  expect(hub.sockets.size).toBe(0);
});

test("a WebSocket that got through once is not given up when the hub is down", async () => {
  const connection = build();
  await connection.start();
  hub.cut();
  expect(connection.state).toBe("Disconnected");
  blockWebSockets();
  await expect(connection.start()).rejects.toThrow("The connection was closed.");
  expect(loadFullClient).not.toHaveBeenCalled();
});

test("a start that is given up opens nothing, and another one can follow", async () => {
  const connection = build();
  const first = connection.start();
  await connection.stop();
  await expect(first).rejects.toThrow();
  expect(hub.sockets.size).toBe(0);
  await connection.start();
  expect([connection.state, hub.sockets.size]).toEqual(["Connected", 1]);
  await expect(connection.start()).rejects.toThrow("started before");
  expect(hub.sockets.size).toBe(1);
});

test("what a handler throws is reported, and the others hear all the same", async () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  const connection = build();
  const heard: unknown[] = [];
  connection.on("Told", () => {
    throw new Error("a handler's own");
  });
  connection.on("tolD", (value: unknown) => heard.push(value));
  await connection.start();
  hub.lastSocket.deliver({ type: 1, target: "TOLD", arguments: ["news"] });
  await vi.waitFor(() => expect(heard).toEqual(["news"]));
  expect(reported.mock.calls).toEqual([[new Error("a handler's own")]]);
});

test("a line that the hub closes right after the handshake is none", async () => {
  const accept = hub.receive.bind(hub);
  hub.receive = (socket, text) => {
    if (socket.hasShaken) return accept(socket, text);
    socket.hasShaken = true;
    socket.deliver({}, { type: 7, error: "Come another day." });
  };
  const connection = build();
  await expect(connection.start()).rejects.toThrow("Come another day.");
  expect(connection.state).toBe("Disconnected");
});
