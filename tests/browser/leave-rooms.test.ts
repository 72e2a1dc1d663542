import { beforeEach, expect, test, vi } from "vitest";
import { leaveRooms } from "../../browser/leave-rooms";
import type { LedgerEntry } from "../../browser/room-ledger";
import { API_URL, FakeHub } from "./fake-hub";

let hub: FakeHub;

const entry = (chatroomId: string): LedgerEntry => ({
  mode: "hosted",
  sdk: "bundled",
  endpoint: "/chatix-comments",
  apiUrl: API_URL,
  websiteId: "site",
  chatroomId,
  connectionId: null,
  isBySite: false,
});

beforeEach(() => {
  localStorage.setItem("chatix__visitorId_v1", "mine");
  hub = new FakeHub().install();
});

test("leaves each room as the same visitor, and goes", async () => {
  expect(await leaveRooms([entry("room-1"), entry("room-2")])).toBe(true);
  expect(hub.callsOf("DisconnectFromChatroom")).toEqual([["room-1"], ["room-2"]]);
  expect(hub.callsOf("ConnectToChatroom")).toEqual([]);
  await expect.poll(() => hub.sockets.size).toBe(0);
  expect(await leaveRooms([])).toBe(true);
});

test("a room that a tab shows by now is not left", async () => {
  const locks = { query: async () => ({ held: [{ name: "chatix:site:room-1" }], pending: [] }) };
  vi.stubGlobal("navigator", Object.assign(Object.create(navigator), { locks }));
  expect(await leaveRooms([entry("room-1"), entry("room-2")])).toBe(true);
  expect(hub.callsOf("DisconnectFromChatroom")).toEqual([["room-2"]]);
  vi.unstubAllGlobals();
});

test("a service that cannot be reached is said", async () => {
  hub.isDown = true;
  expect(await leaveRooms([entry("room-1")])).toBe(false);
});
