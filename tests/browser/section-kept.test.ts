/** What was written outlives the page, in the whole section with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openSection, type Section } from "../../browser/section";
import { FakeHub } from "./fake-hub";
import { loadParts } from "./parts";
import { until } from "./until";

const GUEST = { id: "me", name: "Robin", is_manager: false, is_signed_in: false, is_persistent: true };

let hub: FakeHub;
let tabs: Tab[];

/** A section, as a page would have it; several tabs share storage and locks. */
class Tab {
  readonly host = document.createElement("p");
  readonly section: Section;

  constructor() {
    Object.assign(this.host.dataset, { post: "post-token", endpoint: "/chatix-comments" });
    document.body.append(this.host);
    this.section = openSection(this.host);
    this.section.start();
    tabs.push(this);
  }

  find<T extends Element>(selector: string): T {
    return this.host.querySelector(selector) as T;
  }

  get box(): HTMLTextAreaElement {
    return this.find("textarea");
  }

  get texts(): (string | null)[] {
    return [...this.host.querySelectorAll("article .chatix-text")].map((it) => it.textContent);
  }

  get alert(): string | null {
    return this.find("[role=alert]:not([hidden])")?.textContent ?? null;
  }

  async live(): Promise<this> {
    await until(() => expect(this.find("[role=status]").textContent).toBe("Live"));
    return this;
  }

  type(text: string): void {
    this.box.value = text;
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  post(text: string, name = "Robin"): void {
    this.find<HTMLInputElement>("input[name=name]").value = name;
    this.type(text);
    this.find("form").dispatchEvent(new Event("submit", { cancelable: true }));
  }

  /** End it as a crash does: nothing is said or written any more, and the browser frees the locks. */
  async crash(): Promise<void> {
    const kept = Object.entries({ ...localStorage });
    this.section.close();
    await vi.advanceTimersByTimeAsync(1_000);
    localStorage.clear();
    for (const [key, value] of kept) localStorage.setItem(key, String(value));
    this.host.remove();
  }
}

const kept = () => Object.keys(localStorage).filter((key) => key.includes(":text:"));
const sent = () =>
  hub.callsOf("SaveChatroomMessage").map(([draft]) => draft as { uuid: string; content: string });

beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  localStorage.clear();
  hub = new FakeHub().install();
  tabs = [];
});

afterEach(async () => {
  for (const { section, host } of tabs) {
    section.close();
    host.remove();
  }
  await vi.advanceTimersByTimeAsync(100);
  vi.useRealTimers();
});

describe("a draft", () => {
  test("is not stored before the reader takes part", async () => {
    const tab = await new Tab().live();
    tab.type("Half a thought");
    expect(localStorage.length).toBe(0);
  });

  test("of somebody who has taken part is there after a reload, and gone when it is posted", async () => {
    hub.joinAnswer = { visitor: GUEST };
    const first = await new Tab().live();
    first.type("Half a thought");
    await first.crash();
    const next = await new Tab().live();
    expect([next.box.value, next.box.readOnly]).toEqual(["Half a thought", false]);
    next.post("Half a thought, and the other half");
    await until(() => expect(next.box.value).toBe(""));
    expect(kept()).toEqual([]);
  });

  test("of somebody who has signed out is not shown to the next one", async () => {
    hub.joinAnswer = { visitor: { ...GUEST, is_signed_in: true } };
    const first = await new Tab().live();
    first.type("Mine alone");
    await first.crash();
    hub.joinAnswer = { visitor: { ...GUEST, id: "other", is_signed_in: true } };
    expect((await new Tab().live()).box.value).toBe("");
  });

  test("that is a whisper is not left in the browser", async () => {
    hub.joinAnswer = { visitor: { ...GUEST, is_manager: true, is_signed_in: true } };
    hub.isManager = true;
    const tab = await new Tab().live();
    tab.type("To be whispered");
    expect(kept()).toHaveLength(1);
    tab.find<HTMLInputElement>("input[name=whisper]").click();
    tab.type("To be whispered, surely");
    expect(kept()).toEqual([]);
  });

  test("that was refused is kept again", async () => {
    hub.joinAnswer = { visitor: GUEST };
    const tab = await new Tab().live();
    tab.post("forbidden");
    await until(() => expect(tab.alert).toBe("This cannot be posted."));
    await tab.crash();
    expect((await new Tab().live()).box.value).toBe("forbidden");
  });
});

describe("a comment that could not be sent", () => {
  /** Post while the hub is down, and lose the page. */
  async function postInVain(text = "Written in the tunnel"): Promise<void> {
    const tab = await new Tab().live();
    hub.kill();
    tab.post(text);
    await until(() => expect(tab.find(".chatix-hint").hasAttribute("hidden")).toBe(false));
    await tab.crash();
  }

  test("is shown as unsent by the next page, and sent once when the line is back", async () => {
    await postInVain();
    const next = new Tab();
    await until(() => expect(next.box.value).toBe("Written in the tunnel"));
    expect([next.box.readOnly, next.find(".chatix-hint").hasAttribute("hidden")]).toEqual([true, false]);
    hub.isDown = false;
    await until(() => expect(next.texts).toEqual(["Written in the tunnel"]));
    expect([next.box.value, kept(), sent().length]).toEqual(["", [], 1]);
    expect(hub.requestsTo("/take-part").at(-1)).toMatchObject({ name: "Robin" });
  });

  test("has the same key on the next page, and so is there once though it had arrived", async () => {
    hub.joinAnswer = { visitor: GUEST };
    const tab = await new Tab().live();
    hub.losesAnswers = true;
    tab.post("Heard, not answered");
    await until(() => expect(sent()).toHaveLength(1));
    await tab.crash();
    hub.losesAnswers = false;
    const next = await new Tab().live();
    await until(() => expect(kept()).toEqual([]));
    expect(next.texts).toEqual(["Heard, not answered"]);
    expect(new Set(sent().map(({ uuid }) => uuid)).size).toBe(1);
  });

  test("is sent by one of two tabs", async () => {
    await postInVain();
    const pair = [new Tab(), new Tab()];
    hub.isDown = false;
    for (const tab of pair) await until(() => expect(tab.texts).toEqual(["Written in the tunnel"]));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent()).toHaveLength(1);
    expect(pair.map(({ box }) => box.value)).toEqual(["", ""]);
  });

  test("of another tab that lives is left to that tab", async () => {
    hub.joinAnswer = { visitor: GUEST };
    const tab = await new Tab().live();
    hub.kill();
    tab.post("Mine to send");
    await until(() => expect(kept()).toHaveLength(1));
    const other = new Tab();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(other.box.value).toBe("");
    hub.isDown = false;
    await until(() => expect(other.texts).toEqual(["Mine to send"]));
    expect(sent()).toHaveLength(1);
  });

  test("waits while the reader of the next page is writing something else", async () => {
    await postInVain();
    hub.isDown = false;
    hub.joinAnswer = { visitor: GUEST };
    const next = new Tab();
    next.type("Another thought");
    await next.live();
    expect([next.box.value, next.box.readOnly, sent()]).toEqual(["Another thought", false, []]);
    next.post("Another thought");
    await until(() => expect(next.texts).toEqual(["Another thought", "Written in the tunnel"]));
    expect(kept()).toEqual([]);
  });

  test("of a page that comes back from the cache is not sent again if another tab has sent it", async () => {
    hub.joinAnswer = { visitor: GUEST };
    const tab = await new Tab().live();
    hub.kill();
    tab.post("From the cache");
    await until(() => expect(kept()).toHaveLength(1));
    tab.section.depart();
    await vi.advanceTimersByTimeAsync(100);
    hub.isDown = false;
    const other = await new Tab().live();
    await until(() => expect(other.texts).toEqual(["From the cache"]));
    tab.section.start();
    await tab.live();
    await until(() => expect(tab.texts).toEqual(["From the cache"]));
    expect([tab.box.value, tab.box.readOnly, sent().length]).toEqual(["", false, 1]);
  });

  describe("on the hosted service", () => {
    beforeEach(() => {
      hub.joinAnswer = { mode: "hosted", ticket: "own-id", visitor: { ...GUEST, id: null } };
    });

    async function loseTheAnswer(): Promise<Tab> {
      const tab = await new Tab().live();
      hub.losesAnswers = true;
      tab.post("Did it arrive?");
      await until(() => expect(sent()).toHaveLength(1));
      await tab.crash();
      hub.losesAnswers = false;
      return new Tab();
    }

    test("is found by the next page, if it had arrived", async () => {
      const next = await (await loseTheAnswer()).live();
      await until(() => expect([next.box.value, kept()]).toEqual(["", []]));
      expect(sent()).toHaveLength(1);
    });

    test("is sent again only after the reader's yes", async () => {
      const opened = loseTheAnswer();
      await until(() => expect(hub.messages).toHaveLength(1));
      hub.messages.length = 0;
      const next = await (await opened).live();
      await until(() => expect(next.alert).toContain("Post it again?"));
      expect([next.box.value, next.box.readOnly, sent().length]).toEqual(["Did it arrive?", false, 1]);
      next.post("Did it arrive?");
      await until(() => expect(next.texts).toEqual(["Did it arrive?"]));
    });

    test("is not taken for an equal one of before", async () => {
      hub.post("Did it arrive?", "own-id");
      const opened = loseTheAnswer();
      await until(() => expect(hub.messages).toHaveLength(2));
      hub.messages.length = 1;
      const next = await (await opened).live();
      await until(() => expect(next.alert).toContain("Post it again?"));
    });
  });
});

test("blocked storage changes nothing", async () => {
  vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
    throw new DOMException("blocked", "SecurityError");
  });
  hub.joinAnswer = { visitor: GUEST };
  const tab = await new Tab().live();
  hub.kill();
  tab.post("Nowhere to keep it");
  await vi.advanceTimersByTimeAsync(1_000);
  tab.section.depart();
  hub.isDown = false;
  tab.section.start();
  await until(() => expect(tab.texts).toEqual(["Nowhere to keep it"]));
  expect(tab.box.value).toBe("");
});
