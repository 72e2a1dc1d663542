/** Calm reading, in the whole section with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openSection, type Section } from "../../browser/section";
import { FakeHub } from "./fake-hub";
import { loadParts } from "./parts";
import { until } from "./until";

const GUEST = { id: "me", name: "Robin", is_manager: false, is_signed_in: false, is_persistent: true };

let hub: FakeHub;
let host: HTMLElement;
let section: Section;
/** Tells the section that these articles have come on the screen. */
let see: (articles: readonly Element[]) => void;
let offScreen: string;
let scrolledTo: (string | null)[];

class FakeObserver {
  readonly #callback: IntersectionObserverCallback;

  constructor(callback: IntersectionObserverCallback) {
    this.#callback = callback;
    see = (articles) =>
      this.#callback(
        articles.map((target) => ({ target, isIntersecting: true }) as unknown as IntersectionObserverEntry),
        this as unknown as IntersectionObserver,
      );
  }

  observe(): void {}
  unobserve(): void {}
}

beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  vi.stubGlobal("IntersectionObserver", FakeObserver);
  localStorage.clear();
  history.replaceState(null, "", "#");
  offScreen = "";
  scrolledTo = [];
  hub = new FakeHub().install();
  Element.prototype.scrollIntoView = function scrollIntoView(this: Element) {
    scrolledTo.push(textOf(this));
  };
});

afterEach(async () => {
  section.close();
  await vi.advanceTimersByTimeAsync(100);
  host.remove();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function open(): void {
  host = document.createElement("div");
  host.dataset.post = "post-token";
  host.dataset.endpoint = "/chatix-comments";
  host.innerHTML = `<section aria-label="Comments"><h2 class="chatix-heading">Comments</h2></section>`;
  document.body.replaceChildren(host);
  section = openSection(host);
  section.start();
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockImplementation(function (this: HTMLElement) {
    const isOff =
      offScreen !== "" && (this.textContent ?? "").includes(offScreen) && this.tagName === "ARTICLE";
    return { top: isOff ? 5_000 : 0, bottom: isOff ? 5_100 : 100 } as DOMRect;
  });
}

async function openLive(): Promise<void> {
  open();
  await until(() => expect(find("[role=status]").textContent).toBe("Live"));
}

const find = <T extends HTMLElement>(selector: string) => host.querySelector(selector) as T;
const textOf = (element: Element | null) => element?.querySelector(".chatix-text")?.textContent ?? null;
const texts = () => [...host.querySelectorAll("article")].map(textOf);
const untilTexts = (...wanted: string[]) => until(() => expect(texts()).toEqual(wanted));
const articleOf = (text: string) =>
  [...host.querySelectorAll("article")].find((it) => textOf(it) === text) as Element;
const news = () =>
  host.querySelector(".chatix-new:not([hidden])")?.querySelector(".chatix-new-button")?.textContent ?? null;

describe("new comments", () => {
  beforeEach(async () => {
    hub.post("one");
    await openLive();
    offScreen = "below";
  });

  test("that come where the reader looks are no news", async () => {
    hub.post("here");
    await untilTexts("one", "here");
    expect(news()).toBeNull();
  });

  test("that come elsewhere are counted, until they have been seen", async () => {
    hub.post("first below");
    await until(() => expect(news()).toBe("1 new comment"));
    hub.post("second below");
    hub.post("third below");
    await until(() => expect(news()).toBe("3 new comments"));
    see([articleOf("first below"), articleOf("third below")]);
    expect(news()).toBe("1 new comment");
    hub.delete("m3");
    await until(() => expect(news()).toBeNull());
  });

  test("are one press of the button away, and the keyboard goes along", async () => {
    hub.post("first below");
    hub.post("second below");
    await until(() => expect(news()).toBe("2 new comments"));
    find(".chatix-new-button").focus();
    find(".chatix-new-button").click();
    expect(scrolledTo).toEqual(["first below"]);
    expect(document.activeElement).toBe(articleOf("first below"));
  });

  test("of the reader are none, nor are earlier ones", async () => {
    find<HTMLInputElement>("input[name=name]").value = "Robin";
    find<HTMLTextAreaElement>("textarea").value = "mine, below";
    find("form").dispatchEvent(new Event("submit", { cancelable: true }));
    await untilTexts("one", "mine, below");
    expect(news()).toBeNull();
  });

  test("of an outage are news as well", async () => {
    hub.kill();
    await until(() => expect(find("[role=status]").textContent).toBe("Reconnecting"));
    hub.post("meanwhile, below");
    hub.isDown = false;
    await until(() => expect(news()).toBe("1 new comment"));
  });
});

test("earlier comments that are fetched are no news", async () => {
  for (const number of [1, 2, 3, 4, 5]) hub.post(`c${number} below`);
  await openLive();
  offScreen = "below";
  find(".chatix-earlier").click();
  await until(() => expect(texts()).toHaveLength(5));
  expect(news()).toBeNull();
});

describe("the heading", () => {
  const heading = () => find(".chatix-heading").textContent;

  test("counts all comments, those of other pages too, and the region's name stays", async () => {
    for (const number of [1, 2, 3, 4, 5]) hub.post(`c${number}`);
    await openLive();
    expect(heading()).toBe("Comments 5");
    hub.post("c6");
    await until(() => expect(heading()).toBe("Comments 6"));
    hub.delete("m1");
    await until(() => expect(heading()).toBe("Comments 5"));
    hub.delete("m6");
    await until(() => expect(heading()).toBe("Comments 4"));
    expect(find("section").getAttribute("aria-label")).toBe("Comments");
  });

  test("is the heading alone where there are none", async () => {
    await openLive();
    expect(heading()).toBe("Comments");
    hub.post("one");
    await until(() => expect(heading()).toBe("Comments 1"));
    hub.delete("m1");
    await until(() => expect(heading()?.trim()).toBe("Comments"));
  });

  test("counts where the service does not only what is there in full", async () => {
    hub.joinAnswer = { mode: "hosted", ticket: null };
    for (const number of [1, 2, 3, 4]) hub.post(`c${number}`);
    await openLive();
    expect(heading()).toBe("Comments");
    find(".chatix-earlier").click();
    await until(() => expect(heading()).toBe("Comments 4"));
  });

  test("is counted anew after an outage", async () => {
    for (const number of [1, 2, 3, 4]) hub.post(`c${number}`);
    await openLive();
    hub.kill();
    await until(() => expect(find("[role=status]").textContent).toBe("Reconnecting"));
    hub.delete("m1");
    hub.post("c5");
    hub.post("c6");
    hub.isDown = false;
    await until(() => expect(heading()).toBe("Comments 5"));
  });
});

test("how many are reading is a number, and none for one alone, nor while nobody knows", async () => {
  await openLive();
  const readers = () => (find(".chatix-readers").hidden ? null : find(".chatix-readers").textContent);
  expect(readers()).toBeNull();
  hub.tell("OnChatroomPresence", ["room-1", 3]);
  await until(() => expect(readers()).toBe("3 reading"));
  hub.tell("OnChatroomPresence", ["another-room", 9]);
  hub.tell("OnChatroomPresence", ["room-1", 1]);
  await until(() => expect(readers()).toBeNull());
  hub.tell("OnChatroomPresence", ["room-1", 2]);
  await until(() => expect(readers()).toBe("2 reading"));
  hub.kill();
  await until(() => expect(readers()).toBeNull());
});

describe("the last visit", () => {
  const mark = () => find(".chatix-since")?.closest("article") ?? null;

  test("is marked for who has taken part, before what others have written since", async () => {
    hub.joinAnswer = { visitor: GUEST };
    hub.post("seen");
    await openLive();
    section.depart();
    hub.post("my own", "me");
    hub.post("new");
    hub.post("newer");
    await openLive();
    expect(textOf(mark())).toBe("new");
    expect(find(".chatix-since").textContent).toBe("New since your last visit");
    hub.delete("m3");
    await until(() => expect(textOf(mark())).toBe("newer"));
    section.depart();
    await openLive();
    expect(mark()).toBeNull();
  });

  test("of a reader who has not taken part is nobody's business", async () => {
    hub.post("seen");
    await openLive();
    section.depart();
    expect(localStorage.length).toBe(0);
    hub.post("new");
    await openLive();
    expect(mark()).toBeNull();
  });

  test("is not marked where nothing is known of it", async () => {
    hub.joinAnswer = { visitor: GUEST };
    localStorage.setItem("chatix-comments:visits", "broken");
    hub.post("new");
    await openLive();
    expect(mark()).toBeNull();
  });
});

describe("a link to a comment", () => {
  /** The event of a new address comes later. */
  const goTo = async (hash: string) => {
    location.hash = hash;
    await vi.advanceTimersByTimeAsync(10);
  };
  const linked = () => textOf(find(".chatix-linked"));

  test("pages back to it, marks it, and gives it the keyboard", async () => {
    for (let number = 1; number <= 9; number += 1) hub.post(`c${number}`);
    await goTo("#comment-m2");
    await openLive();
    await until(() => expect(linked()).toBe("c2"));
    expect([scrolledTo.at(-1), document.activeElement]).toEqual(["c2", articleOf("c2")]);
    expect(texts()[0]).toBe("c1");
    expect(host.querySelectorAll(".chatix-linked")).toHaveLength(1);
  });

  test("that is followed on the page leads to another one, and to the same one again", async () => {
    for (let number = 1; number <= 3; number += 1) hub.post(`c${number}`);
    await openLive();
    await goTo("#comment-m2");
    await until(() => expect(linked()).toBe("c2"));
    await goTo("#comment-m3");
    await until(() => expect(linked()).toBe("c3"));
    dispatchEvent(new Event("hashchange"));
    await until(() => expect(scrolledTo).toEqual(["c2", "c3", "c3"]));
  });

  test("to a comment that is gone asks for no more than there is, and does not take the focus", async () => {
    for (let number = 1; number <= 9; number += 1) hub.post(`c${number}`);
    for (const hash of ["#comment-nobody", "#comment-%E0%A4%A"]) {
      await goTo(hash);
      await openLive();
      await vi.advanceTimersByTimeAsync(5_000);
      expect([linked(), scrolledTo, document.activeElement]).toEqual([null, [], document.body]);
      section.close();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(hub.callsOf("GetChatroomHistory").length).toBeLessThanOrEqual(4);
  });

  test("leaves the keyboard where the reader is", async () => {
    hub.post("one");
    await goTo("#comment-m1");
    open();
    const elsewhere = document.createElement("input");
    document.body.append(elsewhere);
    elsewhere.focus();
    await until(() => expect(linked()).toBe("one"));
    expect(document.activeElement).toBe(elsewhere);
  });
});
