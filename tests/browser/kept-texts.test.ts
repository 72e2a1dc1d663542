import { beforeEach, describe, expect, test, vi } from "vitest";
import { type KeptComment, KeptTexts } from "../../browser/kept-texts";
import { FakeLocks } from "./fake-hub";

const PLACE = "hub:local:room-1";
const DAY_MS = 24 * 3600 * 1000;

let locks: FakeLocks;

beforeEach(() => {
  localStorage.clear();
  locks = new FakeLocks();
});

const tab = (owner = "guest", place = PLACE) =>
  new KeptTexts(place, owner, localStorage, locks as unknown as LockManager);

const comment = (clientKey: string, extra: Partial<KeptComment> = {}): KeptComment => ({
  clientKey,
  text: `Text of ${clientKey}`,
  name: "Robin",
  mayHaveArrived: false,
  twins: [],
  ...extra,
});

describe("a draft", () => {
  test("is there for the next page of the same room, and for the same person", () => {
    tab().draft = "Half a thought";
    expect(tab().draft).toBe("Half a thought");
    expect(tab("guest", "hub:local:room-2").draft).toBe("");
    expect(tab("user:1").draft).toBe("");
  });

  test("that is emptied leaves nothing", () => {
    const texts = tab();
    texts.draft = "Half a thought";
    texts.draft = "";
    expect(localStorage.length).toBe(0);
  });

  test("of another tab is not erased by an empty box", () => {
    const [one, other] = [tab(), tab()];
    one.draft = "Mine";
    other.draft = "Written later";
    one.draft = "";
    expect(tab().draft).toBe("Written later");
  });

  test("is forgotten after four weeks, and so is what is not ours or broken", () => {
    vi.useFakeTimers({ now: DAY_MS });
    tab().draft = "Old";
    vi.setSystemTime(30 * DAY_MS);
    expect(tab().draft).toBe("");
    vi.useRealTimers();
    localStorage.setItem(localStorage.key(0) ?? "", "{");
    expect(tab().draft).toBe("");
  });

  test("that is too long is not kept, nor its beginning", () => {
    const texts = tab();
    texts.draft = "Short";
    texts.draft = "x".repeat(50_001);
    expect(localStorage.length).toBe(0);
  });

  test("makes room for others: the oldest go", () => {
    vi.useFakeTimers({ now: DAY_MS });
    for (let number = 1; number <= 25; number += 1) {
      vi.setSystemTime(DAY_MS + number);
      tab("guest", `hub:local:room-${number}`).draft = `Draft ${number}`;
    }
    expect(localStorage.length).toBe(20);
    expect(tab("guest", "hub:local:room-5").draft).toBe("");
    expect(tab("guest", "hub:local:room-6").draft).toBe("Draft 6");
    vi.useRealTimers();
  });

  test("is of no use where storage is forbidden, and does no harm", async () => {
    for (const storage of [null, forbidden()]) {
      const texts = new KeptTexts(PLACE, "guest", storage, null);
      texts.draft = "Half a thought";
      texts.keep(comment("a"));
      expect(texts.find("a")).toBeNull();
      expect(await texts.adopt()).toBeNull();
      texts.drop("a");
    }
  });
});

function forbidden(): Storage {
  const refuse = () => {
    throw new DOMException("forbidden", "QuotaExceededError");
  };
  return {
    length: 1,
    key: refuse,
    getItem: refuse,
    setItem: refuse,
    removeItem: refuse,
  } as unknown as Storage;
}

describe("a comment that was not sent", () => {
  test("is its tab's, until that is gone", async () => {
    const [one, other] = [tab(), tab()];
    one.keep(comment("a", { twins: ["m1"] }));
    expect(await other.adopt()).toBeNull();
    expect(await one.adopt()).toBeNull();
    one.letGo();
    await Promise.resolve();
    expect(await other.adopt()).toMatchObject(comment("a", { twins: ["m1"] }));
    expect(await tab().adopt()).toBeNull();
  });

  test("is taken over by one of several tabs only", async () => {
    tab().keep(comment("a"));
    locks.held.length = 0;
    const adopted = await Promise.all([tab().adopt(), tab().adopt(), tab().adopt()]);
    expect(adopted.filter(Boolean)).toHaveLength(1);
  });

  test("is not taken over by another person", async () => {
    const texts = tab("user:1");
    texts.keep(comment("a"));
    texts.letGo();
    expect(await tab("user:2").adopt()).toBeNull();
    expect(await tab().adopt()).toBeNull();
  });

  test("that is dropped is gone for all", async () => {
    const texts = tab();
    texts.keep(comment("a"));
    texts.drop("a");
    expect([await tab().adopt(), localStorage.length]).toEqual([null, 0]);
  });

  test("is still its page's when that comes back, unless another tab has it or has sent it", async () => {
    const [one, other] = [tab(), tab()];
    one.keep(comment("a"));
    one.letGo();
    await Promise.resolve();
    expect(await one.reclaim(["a"])).toEqual([]);
    one.letGo();
    await Promise.resolve();
    await other.adopt();
    expect(await one.reclaim(["a"])).toEqual(["a"]);
    other.drop("a");
    await Promise.resolve();
    expect(await one.reclaim(["a"])).toEqual(["a"]);
  });

  test("can be had by everybody where there are no locks", async () => {
    new KeptTexts(PLACE, "guest", localStorage, null).keep(comment("a"));
    expect(await new KeptTexts(PLACE, "guest", localStorage, null).adopt()).toMatchObject({ clientKey: "a" });
  });

  test("is kept also where locks are refused", async () => {
    const refusing = { request: () => Promise.reject(new DOMException("no", "SecurityError")) };
    const texts = new KeptTexts(PLACE, "guest", localStorage, refusing as unknown as LockManager);
    texts.keep(comment("a"));
    expect(await texts.reclaim(["a"])).toEqual([]);
  });
});
