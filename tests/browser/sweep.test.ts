import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { leaveRooms } from "../../browser/leave-rooms";
import * as leftBehindPart from "../../browser/left-behind";
import { loadSection } from "../../browser/load-section";
import type { StoredEntry } from "../../browser/room-ledger";
import * as sweep from "../../browser/sweep";

vi.mock("../../browser/load-section");
vi.mock("../../browser/leave-rooms");

const requests: { url: string; body: unknown }[] = [];
let answer: () => Response;

beforeEach(() => {
  localStorage.clear();
  requests.length = 0;
  answer = () => new Response(null, { status: 204 });
  vi.mocked(leaveRooms).mockReset().mockResolvedValue(true);
  vi.mocked(loadSection)
    .mockReset()
    .mockResolvedValue({ loadReturning: async () => leftBehindPart } as never);
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    requests.push({ url, body: JSON.parse(String(init.body)) });
    return answer();
  });
});

afterEach(() => {
  localStorage.clear();
});

function leftBehind(key: string, changes: Partial<StoredEntry> = {}): void {
  const entry = {
    mode: "hub",
    endpoint: "/chatix-comments",
    apiUrl: "http://hub.test/v1",
    websiteId: "local",
    chatroomId: `room-${key}`,
    connectionId: `connection-${key}`,
    seenAt: 1,
    ...changes,
  };
  localStorage.setItem(`chatix-comments:room:${key}`, JSON.stringify(entry));
}

async function run(): Promise<void> {
  sweep.startSweep();
  await sweep.sweeping;
}

test("nothing left behind, nothing asked", async () => {
  await run();
  expect(requests).toEqual([]);
  expect(loadSection).not.toHaveBeenCalled();
});

test("a browser whose storage is blocked has nothing left behind", async () => {
  const storage = vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
    throw new DOMException("blocked", "SecurityError");
  });
  await run();
  storage.mockRestore();
  expect(loadSection).not.toHaveBeenCalled();
});

test("a part that cannot be loaded leaves the entries to the next page", async () => {
  vi.mocked(loadSection).mockRejectedValue(new TypeError("Failed to fetch"));
  leftBehind("a");
  await run();
  expect(localStorage.length).toBe(1);
});

test("on our hub the site is asked once for each endpoint, naming the connections", async () => {
  leftBehind("a");
  leftBehind("b");
  leftBehind("c", { endpoint: "/other" });
  await run();
  expect(requests).toHaveLength(2);
  expect(requests).toEqual(
    expect.arrayContaining([
      {
        url: "/chatix-comments/leave",
        body: {
          ticket: null,
          leaves: expect.arrayContaining([
            { chatroom_id: "room-a", connection_id: "connection-a" },
            { chatroom_id: "room-b", connection_id: "connection-b" },
          ]),
        },
      },
      {
        url: "/other/leave",
        body: { ticket: null, leaves: [{ chatroom_id: "room-c", connection_id: "connection-c" }] },
      },
    ]),
  );
  expect(localStorage.length).toBe(0);
});

test.each([503, 500])("an answer of %i leaves the entries to the next page", async (status) => {
  answer = () => new Response(null, { status });
  leftBehind("a");
  await run();
  expect(localStorage.length).toBe(1);
});

test("a site that cannot be reached leaves the entries, and throws at nobody", async () => {
  answer = () => {
    throw new TypeError("Failed to fetch");
  };
  leftBehind("a");
  await run();
  expect(localStorage.length).toBe(1);
});

test("a site without these views any more is done with", async () => {
  answer = () => new Response("not found", { status: 404 });
  leftBehind("a");
  await run();
  expect(localStorage.length).toBe(0);
});

test("on the hosted service a connection is made for it", async () => {
  leftBehind("a", { mode: "hosted" });
  leftBehind("b", { mode: "hosted", websiteId: "other" });
  vi.mocked(leaveRooms).mockImplementation(async ([entry]) => entry?.websiteId === "local");
  await run();
  expect(leaveRooms).toHaveBeenCalledTimes(2);
  expect(requests).toEqual([]);
  expect(Object.keys(localStorage)).toEqual(["chatix-comments:room:b"]);
});

test("whom the site knows on the hosted service it takes out itself", async () => {
  leftBehind("a", { mode: "hosted", isBySite: true, connectionId: null });
  leftBehind("b", { mode: "hosted", sdk: "widget", connectionId: null });
  await run();
  expect(requests.map(({ body }) => body)).toEqual([
    { ticket: null, leaves: [{ chatroom_id: "room-a", connection_id: null }] },
  ]);
  expect(vi.mocked(leaveRooms).mock.calls).toMatchObject([[[{ sdk: "widget", chatroomId: "room-b" }]]]);
  expect(localStorage.length).toBe(0);
});
