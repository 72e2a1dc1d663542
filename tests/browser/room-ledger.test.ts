import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { eraseEntry, findLeftBehind, type LedgerEntry, RoomLedger } from "../../browser/room-ledger";
import { findLocks, findStorage } from "../../browser/storage";
import { FakeLocks } from "./fake-hub";

const entry: LedgerEntry = {
  mode: "hub",
  sdk: "bundled",
  endpoint: "/chatix-comments",
  apiUrl: "http://hub.test/v1",
  websiteId: "local",
  chatroomId: "room-1",
  connectionId: "connection-1",
  isBySite: true,
};

let locks: LockManager;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  localStorage.clear();
  locks = new FakeLocks() as unknown as LockManager;
});

afterEach(() => {
  vi.useRealTimers();
});

const left = async (with_: LockManager | null = locks) =>
  (await findLeftBehind(localStorage, with_)).map((it) => it.chatroomId);

describe("with Web Locks", () => {
  test("a room that a tab shows is not left behind; when the tab is gone, it is", async () => {
    const ledger = new RoomLedger("tab", localStorage, locks);
    await ledger.hold(entry);
    ledger.write(entry);
    expect(await left()).toEqual([]);
    ledger.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(await left()).toEqual(["room-1"]);
  });

  test("a tab that is frozen for long still shows its room", async () => {
    const ledger = new RoomLedger("tab", localStorage, locks);
    await ledger.hold(entry);
    ledger.write(entry);
    vi.setSystemTime(Date.now() + 3_600_000);
    expect(await left()).toEqual([]);
    ledger.erase();
  });

  test("another tab's lock on the same room counts", async () => {
    new RoomLedger("crashed", localStorage, null).write(entry);
    const other = new RoomLedger("other", localStorage, locks);
    await other.hold(entry);
    expect(await left()).toEqual([]);
    other.erase();
    await vi.advanceTimersByTimeAsync(0);
    expect(await left()).toEqual(["room-1"]);
  });

  test("holding another room lets go of the first, holding the same again does nothing", async () => {
    const ledger = new RoomLedger("tab", localStorage, locks);
    const names = async () => (await locks.query()).held?.map((lock) => lock.name);
    await ledger.hold(entry);
    await ledger.hold(entry);
    expect(await names()).toEqual(["chatix:local:room-1"]);
    await ledger.hold({ ...entry, chatroomId: "room-2" });
    await vi.advanceTimersByTimeAsync(0);
    expect(await names()).toEqual(["chatix:local:room-2"]);
    ledger.erase();
  });

  test("locks that are refused do not keep the section from starting", async () => {
    const refusing = {
      request: () => Promise.reject(new DOMException("no", "SecurityError")),
      query: () => Promise.reject(new DOMException("no", "SecurityError")),
    } as unknown as LockManager;
    const ledger = new RoomLedger("tab", localStorage, refusing);
    await ledger.hold(entry);
    ledger.write(entry);
    expect(await left(refusing)).toEqual([]);
    ledger.stop();
    vi.setSystemTime(Date.now() + 200_000);
    expect(await left(refusing)).toEqual(["room-1"]);
  });
});

describe("without Web Locks (plain http)", () => {
  test("the heartbeat tells", async () => {
    const ledger = new RoomLedger("tab", localStorage, null);
    await ledger.hold(entry);
    ledger.write(entry);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await left(null)).toEqual([]);
    ledger.stop();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await left(null)).toEqual([]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await left(null)).toEqual(["room-1"]);
  });
});

describe("entries", () => {
  test("are erased at once, together with the heartbeat", async () => {
    const ledger = new RoomLedger("tab", localStorage, locks);
    ledger.write(entry);
    ledger.write({ ...entry, connectionId: "connection-2" });
    expect(localStorage.length).toBe(1);
    ledger.erase();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(localStorage.length).toBe(0);
  });

  test("of other tabs are seen while they are fresh", () => {
    const ledger = new RoomLedger("tab", localStorage, null);
    ledger.write(entry);
    expect(ledger.isShownElsewhere(entry)).toBe(false);
    const other = new RoomLedger("other", localStorage, null);
    other.write(entry);
    expect(ledger.isShownElsewhere(entry)).toBe(true);
    expect(ledger.isShownElsewhere({ ...entry, chatroomId: "room-2" })).toBe(false);
    other.stop();
    vi.setSystemTime(Date.now() + 200_000);
    expect(ledger.isShownElsewhere(entry)).toBe(false);
    ledger.erase();
  });

  test("that somebody else wrote, or that are broken, are not ours", async () => {
    localStorage.setItem("chatix__visitorId_v1", "id");
    localStorage.setItem("chatix-comments:room:a", "{");
    localStorage.setItem("chatix-comments:room:b", "null");
    localStorage.setItem("chatix-comments:room:c", JSON.stringify({ ...entry, endpoint: 7 }));
    expect(await left(null)).toEqual([]);
  });

  test("that were dealt with are erased, unless they were written anew meanwhile", async () => {
    const ledger = new RoomLedger("tab", localStorage, null);
    ledger.write(entry);
    ledger.stop();
    vi.setSystemTime(Date.now() + 200_000);
    const [found] = await findLeftBehind(localStorage, null);
    if (!found) throw new Error("nothing found");
    ledger.write(entry);
    eraseEntry(found, localStorage);
    expect(localStorage.length).toBe(1);
    ledger.stop();
    vi.setSystemTime(Date.now() + 200_000);
    const [again] = await findLeftBehind(localStorage, null);
    if (!again) throw new Error("nothing found");
    eraseEntry(again, localStorage);
    eraseEntry(again, localStorage);
    expect(localStorage.length).toBe(0);
  });
});

describe("blocked storage", () => {
  test("is no storage", async () => {
    vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    expect(findStorage()).toBeNull();
    expect(await findLeftBehind()).toEqual([]);
    const ledger = new RoomLedger("tab");
    ledger.write(entry);
    expect(ledger.isShownElsewhere(entry)).toBe(false);
    ledger.erase();
  });

  test("that is full is passed over", () => {
    const full = {
      setItem: () => {
        throw new DOMException("full", "QuotaExceededError");
      },
      removeItem: () => {},
    };
    const ledger = new RoomLedger("tab", full as unknown as Storage, null);
    ledger.write(entry);
    ledger.erase();
  });

  test("locks are missing on plain http", () => {
    vi.stubGlobal("navigator", {});
    expect(findLocks()).toBeNull();
  });
});
