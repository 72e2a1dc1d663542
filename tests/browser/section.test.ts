/** The whole section, with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openSection, type Section } from "../../browser/section";
import { API_URL, FakeHub, type FakeLocks } from "./fake-hub";
import { FakeCore, putOnPage } from "./fake-widget";
import { loadParts } from "./parts";
import { until } from "./until";

let hub: FakeHub;
let host: HTMLElement;
let section: Section;
let consoleError: ReturnType<typeof vi.spyOn>;

// Faked time does not wait for a file.
beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  localStorage.clear();
  hub = new FakeHub().install();
  consoleError = vi.spyOn(console, "error");
});

afterEach(async () => {
  section.close();
  await vi.advanceTimersByTimeAsync(100);
  host.remove();
  vi.useRealTimers();
});

function open(attributes = ""): Section {
  document.body.innerHTML = `
    <chatix-host data-post="post-token" data-endpoint="/chatix-comments" ${attributes}>
      <section class="chatix-section" aria-label="Comments">
        <h2 class="chatix-heading">Comments</h2><p class="chatix-note">Loading…</p>
      </section>
    </chatix-host>`;
  host = document.querySelector("chatix-host") as HTMLElement;
  section = openSection(host);
  section.start();
  return section;
}

async function openLive(attributes = ""): Promise<Section> {
  open(attributes);
  await untilStatus("Live");
  return section;
}

function find<T extends Element>(selector: string): T {
  const found = host.querySelector<T>(selector);
  if (!found) throw new Error(`nothing is ${selector}`);
  return found;
}

const status = () => find("[role=status]").textContent;
const untilStatus = (text: string) => until(() => expect(status()).toBe(text));
const texts = () => [...host.querySelectorAll("article .chatix-text")].map((it) => it.textContent);
const untilTexts = (...wanted: string[]) => until(() => expect(texts()).toEqual(wanted));
const nameBox = () => find<HTMLInputElement>("input[name=name]");
const textBox = () => find<HTMLTextAreaElement>("textarea");
const isHidden = (element: Element) => element.closest("[hidden]") !== null;
const alerts = () =>
  [...host.querySelectorAll("[role=alert]")].filter((it) => !isHidden(it)).map((it) => it.textContent);

function write(text: string, name?: string): void {
  if (name !== undefined) nameBox().value = name;
  textBox().value = text;
  find<HTMLFormElement>("form").dispatchEvent(new Event("submit", { cancelable: true }));
}

const locks = () => navigator.locks as unknown as FakeLocks;
const ledger = () =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith("chatix-comments:room:"))
    .map((key) => JSON.parse(localStorage.getItem(key) ?? ""));

describe("reading", () => {
  test("shows history with author, time and text, and then what comes", async () => {
    hub.names.set("other", "Kim");
    hub.post("Line one\nLine two");
    await openLive();
    const article = find("article");
    expect(article.querySelector(".chatix-author")?.textContent).toBe("Kim");
    expect(article.querySelector(".chatix-avatar")?.textContent).toBe("K");
    expect(article.querySelector("time")?.getAttribute("datetime")).toBe("2023-11-14T22:13:21.000Z");
    expect(article.querySelector("time")?.textContent).toBe("1 minute ago");
    expect(texts()).toEqual(["Line one\nLine two"]);
    hub.post("And another");
    await untilTexts("Line one\nLine two", "And another");
    expect(host.querySelector(".chatix-note:not([hidden])")).toBeNull();
    expect(consoleError).not.toHaveBeenCalled();
  });

  test("goes from Connecting to Live, and asks the site with the page's token", async () => {
    open();
    expect(status()).toBe("Connecting");
    await untilStatus("Live");
    expect(hub.requestsTo("/join")).toEqual([{ post: "post-token", ticket: expect.anything() }]);
    expect(find<HTMLElement>("[role=status]").dataset.state).toBe("live");
  });

  test("an element written by hand needs no more than the post's token", async () => {
    document.body.innerHTML = `<script type="text/plain" data-endpoint="/chatix-comments"></script><p data-post="t"></p>`;
    host = document.querySelector("p") as HTMLElement;
    section = openSection(host);
    section.start();
    await untilStatus("Live");
    expect(hub.requests.map((request) => request.url)).toContain("/chatix-comments/join");
    expect(find("section").getAttribute("aria-label")).toBe("Comments");
  });

  test("a copy of an element that was alive starts clean", async () => {
    hub.post("one");
    await openLive();
    const copy = host.cloneNode(true) as HTMLElement;
    section.close();
    host.replaceWith(copy);
    host = copy;
    section = openSection(copy);
    section.start();
    await untilStatus("Live");
    await untilTexts("one");
    expect(host.querySelectorAll("form")).toHaveLength(1);
    expect(host.querySelectorAll("[role=status]")).toHaveLength(1);
  });

  test("pages back until the start, and says so by taking the button away", async () => {
    for (const number of [1, 2, 3, 4, 5, 6, 7]) hub.post(`c${number}`);
    await openLive();
    expect(texts()).toEqual(["c5", "c6", "c7"]);
    const button = find<HTMLButtonElement>(".chatix-earlier");
    button.click();
    await untilTexts("c2", "c3", "c4", "c5", "c6", "c7");
    expect(isHidden(button)).toBe(false);
    button.click();
    await untilTexts("c1", "c2", "c3", "c4", "c5", "c6", "c7");
    expect(isHidden(button)).toBe(true);
  });

  test("says when earlier comments cannot be had, and lets the reader try again", async () => {
    for (const number of [1, 2, 3, 4]) hub.post(`c${number}`);
    await openLive();
    hub.kill();
    find<HTMLButtonElement>(".chatix-earlier").click();
    await until(() => expect(alerts()).toEqual(["Earlier comments could not be loaded. Please try again."]));
    hub.isDown = false;
    await untilStatus("Live");
    find<HTMLButtonElement>(".chatix-earlier").click();
    await untilTexts("c1", "c2", "c3", "c4");
    expect(alerts()).toEqual([]);
  });

  test("shows edits and deletions", async () => {
    hub.post("one");
    hub.post("two");
    await openLive();
    hub.edit("m1", "uno");
    hub.delete("m2");
    await untilTexts("uno");
    expect(find(".chatix-edited").textContent).toBe("edited");
  });

  test("an empty thread invites; a closed one says so and has no form", async () => {
    hub.joinAnswer = { state: "closed" };
    hub.isClosed = true;
    await openLive();
    expect(isHidden(find(".chatix-empty"))).toBe(false);
    expect(find(".chatix-empty").textContent).toBe("There are no comments.");
    expect(isHidden(find("form"))).toBe(true);
    expect(host.textContent).toContain("Comments are closed.");
  });

  test("what the hub says of a closed thread counts more than what the site knew", async () => {
    hub.isClosed = true;
    await openLive();
    expect(isHidden(find("form"))).toBe(true);
    hub.isClosed = false;
    hub.cut();
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    expect(isHidden(find("form"))).toBe(false);
  });

  test("data-closed hides the form of an open thread", async () => {
    await openLive("data-closed");
    expect(isHidden(find("form"))).toBe(true);
  });

  test("a thread that is closed while somebody writes keeps their text on the page", async () => {
    await openLive();
    textBox().value = "half a thought";
    hub.tell("OnUpdateChatroom", [{ id: "room-1", title: "t", managers: [], is_closed: true }]);
    await until(() => expect(host.textContent).toContain("Comments are closed."));
    await until(() => expect(isHidden(find("p.chatix-note"))).toBe(false));
    expect(isHidden(textBox())).toBe(false);
    expect(isHidden(find(".chatix-post"))).toBe(true);
    write("half a thought", "Robin");
    expect(alerts()).toEqual([]);
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
    textBox().value = "";
    hub.tell("OnUpdateChatroom", [{ id: "room-1", title: "t", managers: [], is_closed: true }]);
    await until(() => expect(isHidden(textBox())).toBe(true));
    hub.tell("OnUpdateChatroom", [{ id: "room-1", title: "t", managers: [], is_closed: false }]);
    await until(() => expect(isHidden(textBox())).toBe(false));
    expect(isHidden(find(".chatix-post"))).toBe(false);
    expect(isHidden(find("p.chatix-note"))).toBe(true);
  });

  describe("a thread that is deleted", () => {
    const GONE = "These comments are not available.";
    const note = () => find("p.chatix-note");
    const untilGone = () =>
      until(() => expect([note().textContent, isHidden(note())]).toEqual([GONE, false]));

    test("goes from the page, quietly, and comes back with its comments when it is restored", async () => {
      hub.post("before");
      await openLive();
      textBox().value = "half a thought";
      hub.setDeleted(true);
      await untilGone();
      expect([status(), find<HTMLElement>("[role=status]").dataset.state]).toEqual(["", undefined]);
      expect(isHidden(find("article"))).toBe(true);
      expect(textBox().value).toBe("half a thought");
      expect([isHidden(textBox()), isHidden(find(".chatix-post"))]).toEqual([false, true]);
      expect(alerts()).toEqual([]);
      hub.isDeleted = false;
      hub.lastSocket.deliver = () => {};
      hub.post("by the API, before anybody was told");
      delete (hub.lastSocket as unknown as Record<string, unknown>).deliver;
      hub.setDeleted(false);
      await untilTexts("before", "by the API, before anybody was told");
      expect(status()).toBe("Live");
      expect([isHidden(find("article")), isHidden(note())]).toEqual([false, true]);
      expect([textBox().value, isHidden(find(".chatix-post"))]).toEqual(["half a thought", false]);
      expect(consoleError).not.toHaveBeenCalled();
    });

    test("and was closed comes back closed", async () => {
      await openLive();
      hub.setDeleted(true);
      await untilGone();
      hub.isClosed = true;
      hub.setDeleted(false);
      await until(() => expect(note().textContent).toBe("Comments are closed."));
      expect(isHidden(find("form"))).toBe(true);
    });

    test("before the page came says so, asks seldom, and comes when it is restored", async () => {
      hub.post("before");
      hub.joinAnswer = { state: "gone", retry_after_s: 60 };
      open();
      await untilGone();
      expect([status(), isHidden(find("form")), alerts()]).toEqual(["", true, []]);
      await vi.advanceTimersByTimeAsync(10 * 60_000);
      expect(hub.requestsTo("/join").length).toBeLessThanOrEqual(21);
      expect(hub.sockets.size).toBe(0);
      expect([status(), alerts()]).toEqual(["", []]);
      hub.joinAnswer = {};
      await vi.advanceTimersByTimeAsync(60_000);
      await untilTexts("before");
      expect([status(), isHidden(find("form"))]).toEqual(["Live", false]);
      expect(consoleError).not.toHaveBeenCalled();
    });

    test("at the hub alone, without the site's knowledge, is as quiet", async () => {
      hub.isDeleted = true;
      open();
      await untilGone();
      await vi.advanceTimersByTimeAsync(10 * 60_000);
      expect(hub.callsOf("ConnectToChatroom").length).toBeLessThanOrEqual(21);
      expect([status(), isHidden(find("form")), alerts()]).toEqual(["", true, []]);
      hub.isDeleted = false;
      await vi.advanceTimersByTimeAsync(60_000);
      await untilStatus("Live");
      expect(isHidden(note())).toBe(true);
    });

    test("gives back a comment that waits, and says that it was not posted", async () => {
      await openLive();
      hub.kill();
      await untilStatus("Reconnecting");
      write("Written before the end", "Robin");
      await until(() => expect(find(".chatix-hint").hasAttribute("hidden")).toBe(false));
      hub.isDown = false;
      hub.isDeleted = true;
      await untilGone();
      expect([textBox().value, textBox().readOnly]).toEqual(["Written before the end", false]);
      expect(alerts()).toEqual(["Your comment was not posted. Please try again."]);
    });

    test("and whose site is away as well stays as it is", async () => {
      hub.joinAnswer = { state: "gone", retry_after_s: 60 };
      open();
      await untilGone();
      hub.siteIsDown = true;
      await vi.advanceTimersByTimeAsync(120_000);
      expect([status(), isHidden(note()), isHidden(find("form")), alerts()]).toEqual(["", false, true, []]);
    });

    test("during an outage is found out by the next line", async () => {
      hub.post("before");
      await openLive();
      hub.joinAnswer = { state: "gone", retry_after_s: 60 };
      hub.isDeleted = true;
      hub.cut();
      await untilGone();
      // Perhaps it is only not for us any more.
      expect(texts()).toEqual([]);
      hub.isDeleted = false;
      hub.joinAnswer = {};
      hub.post("after");
      await vi.advanceTimersByTimeAsync(60_000);
      await untilTexts("before", "after");
      expect(isHidden(find("article"))).toBe(false);
    });
  });

  describe("a private chatroom", () => {
    const takenOut = () =>
      hub.tell("OnDisconnectVisitorFromChatroom", [{ uuid: "me", name: null, is_online: true }, "room-1"]);

    test("leaves nothing on the page of who is taken out, and comes back with who is let in again", async () => {
      hub.joinAnswer = { is_private: true };
      hub.post("for some");
      await openLive();
      textBox().value = "half a thought";
      hub.joinAnswer = { state: "gone", retry_after_s: 60 };
      takenOut();
      await until(() => expect(host.textContent).not.toContain("for some"));
      expect([find(".chatix-body > .chatix-note").textContent, status(), alerts()]).toEqual([
        "These comments are not available.",
        "",
        [],
      ]);
      expect(textBox().value).toBe("half a thought");
      hub.joinAnswer = { is_private: true };
      await vi.advanceTimersByTimeAsync(60_000);
      await untilTexts("for some");
      expect(textBox().value).toBe("half a thought");
      expect(consoleError).not.toHaveBeenCalled();
    });

    test("is read anew by who stays when it becomes one: files have other addresses", async () => {
      hub.post("for all");
      await openLive();
      hub.joinAnswer = { is_private: true };
      takenOut();
      await untilStatus("Reconnecting");
      await untilStatus("Live");
      await untilTexts("for all");
      expect(hub.callsOf("GetChatroomHistory")).toHaveLength(2);
    });
  });

  test("a room that is being prepared is waited for", async () => {
    hub.joinStatus = 202;
    hub.joinAnswer = { state: "preparing", retry_after_s: 1 };
    open();
    await untilStatus("The comments are on their way");
    const asked = hub.requestsTo("/join").length;
    // It is not asked for earlier than the site has said, and then again and again.
    await vi.advanceTimersByTimeAsync(900);
    expect(hub.requestsTo("/join")).toHaveLength(asked);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(hub.requestsTo("/join").length).toBeGreaterThan(asked + 1);
    expect(status()).toBe("The comments are on their way");
    expect(alerts()).toEqual([]);
    hub.joinStatus = 200;
    hub.joinAnswer = {};
    await untilStatus("Live");
  });
});

describe("writing", () => {
  test("a guest takes part under a name; the text goes when it is acknowledged", async () => {
    await openLive();
    write("Hello!", " Robin ");
    await untilTexts("Hello!");
    expect(hub.requestsTo("/take-part")).toEqual([{ post: "post-token", ticket: "ticket-1", name: "Robin" }]);
    await until(() => expect(textBox().value).toBe(""));
    expect(nameBox().value).toBe(" Robin ");
    expect(find(".chatix-you").textContent).toBe("(you)");
    write("Again");
    await untilTexts("Hello!", "Again");
    expect(hub.requestsTo("/take-part")).toHaveLength(1);
    const keys = hub.callsOf("SaveChatroomMessage").map(([draft]) => (draft as { uuid: string }).uuid);
    expect(new Set(keys).size).toBe(2);
  });

  test("a user of the site has no Name field", async () => {
    const visitor = { id: "me", name: "Toni", is_manager: false, is_signed_in: true, is_persistent: true };
    hub.joinAnswer = { visitor };
    await openLive();
    expect(isHidden(nameBox())).toBe(true);
    expect(find(".chatix-identity").textContent).toBe("Commenting as Toni");
    write("Hi");
    await untilTexts("Hi");
    expect(hub.requestsTo("/take-part")).toEqual([]);
  });

  test.each([
    ["   ", "Robin", "Write something first."],
    ["Hi", "  ", "Please give a name: it is shown beside your comment."],
    ["x".repeat(101), "Robin", "A comment has at most 100 characters; this one has 101."],
    ["Hi", "R".repeat(21), "A name has at most 20 characters."],
  ])("refuses %j by %j before sending, and keeps both", async (text, name, reason) => {
    await openLive();
    write(text, name);
    expect(alerts()).toEqual([reason]);
    expect(textBox().value).toBe(text);
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
    write("Better", "Robin");
    await untilTexts("Better");
    expect(alerts()).toEqual([]);
  });

  test("what the hub refuses comes back with its reason", async () => {
    await openLive();
    write("forbidden", "Robin");
    await until(() => expect(alerts()).toEqual(["This cannot be posted."]));
    expect(textBox().value).toBe("forbidden");
    expect(textBox().readOnly).toBe(false);
  });

  test("who posts too fast keeps the comment, is told when to try again, and then posts it", async () => {
    const sentence = "There were too many comments in a short time. Please try again in 12 seconds.";
    await openLive();
    hub.failures.push({ target: "SaveChatroomMessage", message: sentence });
    write("Too fast", "Robin");
    await until(() => expect(alerts()).toEqual([sentence]));
    expect(textBox().value).toBe("Too fast");
    expect(textBox().readOnly).toBe(false);
    write("Too fast", "Robin");
    await untilTexts("Too fast");
    expect(alerts()).toEqual([]);
  });

  test("a name that the site refuses is said at the name", async () => {
    hub.takePartStatus = 422;
    hub.takePartAnswer = { error: "bad_name", message: "This name is taken by the author." };
    await openLive();
    textBox().focus();
    write("Hi", "The Author");
    await until(() => expect(alerts()).toEqual(["This name is taken by the author."]));
    expect(nameBox().getAttribute("aria-invalid")).toBe("true");
    expect(document.activeElement).toBe(nameBox());
  });

  test("a disk without room for a new guest is said, and the comment stays", async () => {
    const sentence = "There is no room left on the server for this. Please tell its owner.";
    hub.takePartStatus = 507;
    hub.takePartAnswer = { error: "no_room", message: sentence };
    await openLive();
    write("Hi", "Robin");
    await until(() => expect(alerts()).toEqual([sentence]));
    expect(textBox().value).toBe("Hi");
    expect(textBox().readOnly).toBe(false);
    hub.takePartStatus = 200;
    write("Hi", "Robin");
    await untilTexts("Hi");
    expect(alerts()).toEqual([]);
  });

  test("while a comment is under way nothing can be changed or sent twice", async () => {
    await openLive();
    hub.isSilent = true;
    write("Hello", "Robin");
    await until(() => expect(find(".chatix-post").textContent).toBe("Posting…"));
    expect(textBox().readOnly).toBe(true);
    write("Hello");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(hub.callsOf("SaveChatroomMessage")).toHaveLength(1);
  });
});

describe("outages", () => {
  test("asks for what it missed, edits and deletions too", async () => {
    for (const number of [1, 2, 3]) hub.post(`c${number}`);
    await openLive();
    hub.kill();
    await until(() => expect(status()).toBe("Reconnecting"));
    hub.edit("m1", "uno");
    hub.delete("m2");
    for (const number of [4, 5, 6, 7, 8]) hub.post(`c${number}`);
    hub.pageLimit = 2;
    hub.isDown = false;
    await untilStatus("Live");
    expect(texts()).toEqual(["uno", "c3", "c4", "c5", "c6", "c7", "c8"]);
    expect(hub.lastSocket.visitorId).toBe("ticket-2");
    expect(hub.requestsTo("/join").map((body) => body.ticket)).toEqual([expect.anything(), "ticket-1"]);
  });

  test("is Offline while it fails again and again, and comes back by itself", async () => {
    await openLive();
    hub.kill();
    hub.siteIsDown = true;
    await untilStatus("Offline");
    await vi.advanceTimersByTimeAsync(300_000);
    expect(status()).toBe("Offline");
    hub.siteIsDown = false;
    hub.isDown = false;
    await untilStatus("Live");
  });

  test("a hub that always has more, but never gets on, is not asked for ever", async () => {
    await openLive();
    hub.cut();
    hub.pageLimit = 0;
    hub.post("one");
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    expect(hub.callsOf("GetChatroomChanges")).toHaveLength(1);
  });

  test("a post that has another room afterwards shows that room only", async () => {
    hub.post("of the old room");
    await openLive();
    hub.kill();
    await untilStatus("Reconnecting");
    hub.messages.length = 0;
    hub.chatroomId = "room-2";
    hub.post("of the new room");
    hub.isDown = false;
    await untilStatus("Live");
    expect(texts()).toEqual(["of the new room"]);
    expect(hub.callsOf("GetChatroomChanges")).toEqual([]);
  });

  test("waits longer and longer between attempts", async () => {
    await openLive();
    hub.kill();
    hub.siteIsDown = true;
    const before = hub.requestsTo("/join").length;
    await vi.advanceTimersByTimeAsync(60_000);
    const attempts = hub.requestsTo("/join").length - before;
    expect(attempts).toBeGreaterThanOrEqual(6);
    expect(attempts).toBeLessThanOrEqual(16);
  });

  test("a site that cannot serve is Offline at once, with a sentence; then the thread comes", async () => {
    hub.joinStatus = 503;
    hub.joinAnswer = { error: "unavailable", message: "The comments take a short break.", retry_after_s: 2 };
    open();
    await untilStatus("Offline");
    expect(alerts()).toEqual(["The comments take a short break."]);
    hub.joinStatus = 200;
    hub.joinAnswer = {};
    await untilStatus("Live");
    expect(alerts()).toEqual([]);
  });

  test("a site that has no chat says so quietly, asks seldom, and is live once it has one", async () => {
    hub.joinStatus = 503;
    hub.joinAnswer = { error: "no_hub", message: "Comments are not available on this site yet." };
    open();
    const notice = find<HTMLElement>(".chatix-notice");
    await until(() => expect(notice.hidden).toBe(false));
    expect(notice.textContent).toBe("Comments are not available on this site yet.");
    expect(alerts()).toEqual([]);
    expect(find<HTMLElement>("[role=status]").hidden).toBe(true);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(hub.requestsTo("/join").length).toBeLessThanOrEqual(11);
    hub.joinStatus = 200;
    hub.joinAnswer = {};
    await vi.advanceTimersByTimeAsync(60_000);
    await untilStatus("Live");
    expect(find<HTMLElement>("[role=status]").hidden).toBe(false);
    expect(notice.hidden).toBe(true);
    expect(notice.getAttribute("role")).toBe("alert");
  });

  test("a token that the site does not accept is said", async () => {
    hub.joinStatus = 400;
    hub.joinAnswer = { error: "bad_token", message: "" };
    open();
    await untilStatus("Offline");
    expect(alerts()).toEqual(["These comments cannot be shown at the moment."]);
    expect(isHidden(find("form"))).toBe(true);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(hub.requestsTo("/join").length).toBeLessThanOrEqual(11);
  });

  test("a comment that waits when the site turns away is given back, with what to do", async () => {
    await openLive();
    hub.kill();
    await untilStatus("Reconnecting");
    write("Written before the end", "Robin");
    await until(() => expect(find(".chatix-hint").hasAttribute("hidden")).toBe(false));
    hub.joinStatus = 400;
    hub.joinAnswer = { error: "bad_token", message: "This page is out of date. Please reload it." };
    await until(() => expect(textBox().readOnly).toBe(false));
    expect(textBox().value).toBe("Written before the end");
    expect(isHidden(textBox())).toBe(false);
    expect(isHidden(find(".chatix-hint"))).toBe(true);
    expect(alerts()).toEqual([
      "This page is out of date. Please reload it. Copy what you have written before you reload the page.",
      "Your comment was not posted. Please try again.",
    ]);
    hub.joinStatus = 200;
    hub.joinAnswer = {};
    hub.isDown = false;
    await untilStatus("Live");
    write("Written before the end", "Robin");
    await untilTexts("Written before the end");
  });

  test("whoever is taken out of the room joins again, and misses nothing", async () => {
    await openLive();
    hub.tell("OnDisconnectVisitorFromChatroom", [{ uuid: "me", name: null, is_online: true }, "room-1"]);
    await untilStatus("Reconnecting");
    hub.post("said meanwhile");
    await untilStatus("Live");
    await untilTexts("said meanwhile");
    expect(hub.callsOf("ConnectToChatroom")).toHaveLength(2);
  });

  test("an answer of HTML is an outage, not a crash", async () => {
    vi.stubGlobal("fetch", async () => new Response("<h1>Bad gateway</h1>", { status: 502 }));
    open();
    await untilStatus("Offline");
    expect(alerts()).toEqual([
      "The comments are on their way: they cannot be reached at the moment, and will come by themselves.",
    ]);
    hub.install();
    await untilStatus("Live");
  });

  test("a comment whose acknowledgement was lost is sent again with its key, and is there once", async () => {
    await openLive();
    write("First", "Robin");
    await untilTexts("First");
    hub.losesAnswers = true;
    write("Did you get this?");
    await until(() => expect(find(".chatix-hint").hasAttribute("hidden")).toBe(false));
    expect(textBox().value).toBe("Did you get this?");
    hub.losesAnswers = false;
    await untilStatus("Live");
    await untilTexts("First", "Did you get this?");
    await until(() => expect(textBox().value).toBe(""));
    expect(hub.messages.map((message) => message.content)).toEqual(["First", "Did you get this?"]);
    expect(hub.callsOf("SaveChatroomMessage")).toHaveLength(3);
  });

  test("a comment that comes back and is posted again is the one that may have been stored", async () => {
    await openLive();
    hub.losesAnswers = true;
    write("only once", "Robin");
    await until(() => expect(find(".chatix-hint").hasAttribute("hidden")).toBe(false));
    hub.losesAnswers = false;
    hub.failures.push({ target: "SaveChatroomMessage", message: "The hub could not do this." });
    await until(() => expect(alerts()).toEqual(["The hub could not do this."]));
    expect(textBox().value).toBe("only once");
    write("only once");
    await until(() => expect(textBox().value).toBe(""));
    expect(hub.messages.map((message) => message.content)).toEqual(["only once"]);
  });

  test("a guest's first comment, written while everything is down, is posted when it is back", async () => {
    await openLive();
    hub.kill();
    hub.siteIsDown = true;
    await untilStatus("Offline");
    write("Written in the dark", "Robin");
    await vi.advanceTimersByTimeAsync(30_000);
    expect(textBox().value).toBe("Written in the dark");
    expect(alerts()).toEqual([]);
    hub.siteIsDown = false;
    hub.isDown = false;
    await untilTexts("Written in the dark");
    expect(textBox().value).toBe("");
    expect(hub.messages[0]?.sender_name).toBe("Robin");
  });

  test("a site that is away for a moment while the line is up is asked again", async () => {
    await openLive();
    hub.takePartStatus = 503;
    write("Patience", "Robin");
    await until(() => expect(find(".chatix-hint").hasAttribute("hidden")).toBe(false));
    hub.takePartStatus = 200;
    await until(() => expect(texts()).toEqual(["Patience"]));
  });

  test("a line that is made anew while the site takes its time is the one that is used", async () => {
    await openLive();
    let answerSite: () => void = () => {};
    const fetch = globalThis.fetch;
    vi.stubGlobal("fetch", async (url: string, init?: RequestInit) => {
      if (url.endsWith("/take-part")) await new Promise<void>((resolve) => (answerSite = resolve));
      return fetch(url, init);
    });
    write("Patience", "Robin");
    await vi.advanceTimersByTimeAsync(100);
    hub.cut();
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    answerSite();
    await untilTexts("Patience");
    expect(hub.callsOf("SaveChatroomMessage")).toHaveLength(1);
  });

  test("a refusal that comes late does not take the focus from where the reader is", async () => {
    await openLive();
    const elsewhere = document.createElement("input");
    document.body.append(elsewhere);
    write("forbidden", "Robin");
    elsewhere.focus();
    await until(() => expect(alerts()).toEqual(["This cannot be posted."]));
    expect(document.activeElement).toBe(elsewhere);
    elsewhere.remove();
  });

  test("a line that lets in and breaks at once is not stormed (Q7)", async () => {
    await openLive();
    const accept = hub.accept.bind(hub);
    hub.accept = (socket) => {
      accept(socket);
      setTimeout(() => socket.lose(), 10);
    };
    const before = hub.requestsTo("negotiate").length;
    hub.cut();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hub.requestsTo("negotiate").length - before).toBeLessThanOrEqual(16);
  });

  test("the network's return and the reader's look end the waiting", async () => {
    await openLive();
    hub.kill();
    await untilStatus("Offline");
    await vi.advanceTimersByTimeAsync(60_000);
    hub.isDown = false;
    dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(100);
    expect(status()).toBe("Live");
  });

  test("a page that was away asks for what it has missed, and says Catching up until it knows", async () => {
    hub.post("one");
    await openLive();
    const said: (string | null)[] = [];
    new MutationObserver(() => said.push(status())).observe(find("[role=status]"), { childList: true });
    hub.lastSocket.deliver = () => {};
    hub.post("in the reader's sleep");
    hub.edit("m1", "uno");
    delete (hub.lastSocket as unknown as Record<string, unknown>).deliver;
    // The machine has slept for hours; the page was in front all the time.
    vi.setSystemTime(Date.now() + 3 * 3_600_000);
    await untilTexts("uno", "in the reader's sleep");
    await untilStatus("Live");
    expect(said).toEqual(["Catching up", "Live"]);
    expect(hub.requestsTo("/join")).toHaveLength(1);
  });

  test("how long ago comments were goes by the hub's clock, and stays true", async () => {
    hub.skewS = 1_700_000_000 - Date.now() / 1000 + 600;
    hub.post("one");
    await openLive();
    expect(find("time").textContent).toBe("9 minutes ago");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(find("time").textContent).toBe("10 minutes ago");
  });

  test("a connection that died in the reader's sleep is found out when the reader looks", async () => {
    await openLive();
    hub.isSilent = true;
    dispatchEvent(new Event("offline"));
    await vi.advanceTimersByTimeAsync(5_100);
    expect(status()).not.toBe("Live");
    hub.isSilent = false;
    await untilStatus("Live");
  });
});

describe("leaving", () => {
  test("a page that goes away leaves by socket and beacon, and closes", async () => {
    const visitor = { id: "me", name: "Robin", is_manager: false, is_signed_in: false, is_persistent: true };
    hub.joinAnswer = { visitor };
    await openLive();
    section.depart();
    expect(locks().held).toHaveLength(1);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(hub.interested.size).toBe(0);
    expect(hub.sockets.size).toBe(0);
    expect(locks().held).toEqual([]);
    await until(() => expect(hub.beacons).toHaveLength(1));
    expect(hub.beacons[0]).toEqual({
      url: "/chatix-comments/leave",
      type: "application/json",
      ticket: "ticket-1",
      leaves: [{ chatroom_id: "room-1", connection_id: "connection-1" }],
    });
    expect(status()).toBe("Reconnecting");
    section.depart();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hub.beacons).toHaveLength(1);
    expect(hub.requestsTo("/join")).toHaveLength(1);
  });

  test("who has never taken part leaves no trace in the browser, and holds no lock", async () => {
    await openLive();
    expect([localStorage.length, locks().held]).toEqual([0, []]);
  });

  test("a page that comes back is the same visitor, and misses nothing", async () => {
    hub.post("before");
    await openLive();
    section.depart();
    await vi.advanceTimersByTimeAsync(1_000);
    hub.post("meanwhile");
    section.start();
    section.start();
    await untilStatus("Live");
    expect(texts()).toEqual(["before", "meanwhile"]);
    expect(hub.sockets.size).toBe(1);
    expect([...hub.interested]).toEqual(["connection-2"]);
    expect(hub.requestsTo("/join").at(-1)?.ticket).toBe("ticket-1");
  });

  test("an element that goes away leaves over the line, without a beacon", async () => {
    await openLive();
    section.close();
    await until(() => expect(hub.sockets.size).toBe(0));
    expect(hub.callsOf("DisconnectFromChatroom")).toHaveLength(1);
    expect(hub.beacons).toEqual([]);
  });

  test("during an outage the beacon names the last connection", async () => {
    await openLive();
    hub.kill();
    await untilStatus("Offline");
    section.depart();
    await until(() => expect(hub.beacons).toHaveLength(1));
    expect(hub.beacons[0]?.leaves).toEqual([{ chatroom_id: "room-1", connection_id: "connection-1" }]);
  });

  test("a reader who has not taken part leaves nothing in the browser", async () => {
    await openLive();
    expect(localStorage.length).toBe(0);
  });

  test("who has taken part is in the ledger while the section is shown", async () => {
    await openLive();
    write("Hello", "Robin");
    await untilTexts("Hello");
    expect(ledger()).toEqual([
      {
        mode: "hub",
        sdk: "bundled",
        isBySite: true,
        endpoint: "/chatix-comments",
        apiUrl: API_URL,
        websiteId: "local",
        chatroomId: "room-1",
        connectionId: "connection-1",
        seenAt: expect.any(Number),
      },
    ]);
    hub.cut();
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    expect(ledger().map((entry) => entry.connectionId)).toEqual(["connection-2"]);
    section.depart();
    expect(ledger()).toEqual([]);
  });

  test("blocked storage changes nothing that the reader sees", async () => {
    vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    await openLive();
    write("Hello", "Robin");
    await untilTexts("Hello");
    section.depart();
    vi.restoreAllMocks();
  });

  test("without Web Locks (plain http) and without beacons' luck, all else works", async () => {
    Object.defineProperty(navigator, "locks", { value: undefined });
    await openLive();
    write("Hello", "Robin");
    await untilTexts("Hello");
    section.depart();
    expect(ledger()).toEqual([]);
  });
});

/** A storage that another tab may write to in the middle of things. */
class SharedStorage implements Storage {
  readonly map = new Map<string, string>();
  onRemove: () => void = () => {};

  get length(): number {
    return this.map.size;
  }

  keysOf(prefix: string): string[] {
    return [...this.map.keys()].filter((key) => key.startsWith(prefix));
  }

  key(index: number): string | null {
    return [...this.map.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.map.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.map.set(key, value);
  }

  removeItem(key: string): void {
    this.map.delete(key);
    this.onRemove();
  }

  clear(): void {
    this.map.clear();
  }
}

describe("with the SDK object of the page's chat widget", () => {
  beforeEach(() => {
    hub.joinAnswer = {
      mode: "hosted",
      sdk: "widget",
      website_id: "site",
      ticket: null,
      visitor: { id: null, name: null, is_manager: false, is_signed_in: false, is_persistent: false },
    };
    vi.spyOn(console, "warn").mockImplementation(() => {});
  });

  test("says that it is missing, and comes alive when it comes", async () => {
    open('data-sdk="widget"');
    await untilStatus("Offline");
    expect(alerts()).toEqual([expect.stringContaining("part of this site’s chat")]);
    putOnPage(new FakeCore());
    await untilStatus("Live");
    expect(alerts()).toEqual([]);
    await untilTexts("first");
    expect(hub.sockets.size).toBe(0);
  });

  test("posts as the widget's visitor, by whose name the guest is known", async () => {
    const core = new FakeCore();
    core.visitor.name = "Robin";
    putOnPage(core);
    await openLive();
    write("Hello");
    await untilTexts("first", "Hello");
    expect(core.setName).not.toHaveBeenCalled();
    expect(hub.requestsTo("/take-part")).toEqual([]);
  });

  test("leaves the room, not the widget, when the page goes", async () => {
    const core = new FakeCore();
    putOnPage(core);
    await openLive();
    section.depart();
    expect(core.disconnectFromChatroom).toHaveBeenCalledExactlyOnceWith("room-1");
    expect(core.stop).not.toHaveBeenCalled();
    expect(hub.beacons).toEqual([]);
    expect(localStorage.length).toBe(0);
  });
});

describe("on the hosted service", () => {
  beforeEach(() => {
    hub.joinAnswer = {
      mode: "hosted",
      website_id: "site",
      ticket: null,
      visitor: { id: null, name: null, is_manager: false, is_signed_in: false, is_persistent: false },
    };
  });

  test("reads and writes by documented calls", async () => {
    hub.names.set("other", "Kim");
    hub.post("one");
    await openLive();
    write("two", "Robin");
    await untilTexts("one", "two");
    const authors = [...host.querySelectorAll(".chatix-author")].map((it) => it.textContent);
    expect(authors).toEqual(["Kim", "Robin"]);
    expect(host.querySelectorAll(".chatix-you")).toHaveLength(1);
  });

  test("whoever takes part becomes the visitor that the site has got from the service", async () => {
    await openLive();
    expect(hub.lastSocket.visitorId).toBe("fresh-id");
    write("one", "Robin");
    await untilTexts("one");
    write("two");
    await untilTexts("one", "two");
    expect(hub.requestsTo("/take-part")).toEqual([{ post: "post-token", ticket: null, name: "Robin" }]);
    expect(hub.messages.map((it) => it.sender_id)).toEqual(["guest-id", "guest-id"]);
    // The visitor of before has left the room, and the SDK's own storage knows of no other.
    expect(hub.callsOf("DisconnectFromChatroom")).toEqual([["room-1"]]);
    expect(hub.sockets.size).toBe(1);
    expect(hub.callsOf("SaveVisitorInfo")).toHaveLength(1);
    expect(localStorage.getItem("chatix__visitorId_v1")).toBe("fresh-id");
  });

  test("a browser that keeps no cookies is asked for its name once, and then stays the SDK's visitor", async () => {
    hub.keepsCookies = false;
    await openLive();
    write("one", "Robin");
    await untilTexts("one");
    expect(hub.requestsTo("/take-part")).toHaveLength(1);
    expect(hub.messages.map((it) => it.sender_id)).toEqual(["fresh-id"]);
  });

  test("a name that the service keeps is the guest's, also as the site's visitor", async () => {
    localStorage.setItem("chatix__visitorId_v1", "mine");
    hub.names.set("mine", "Robin");
    await openLive();
    expect(nameBox().value).toBe("Robin");
    write("Back again");
    await untilTexts("Back again");
    expect(hub.names.get("guest-id")).toBe("Robin");
  });

  describe("with an id from the site", () => {
    const visitor = { id: null, name: "Toni", is_manager: false, is_signed_in: true, is_persistent: true };

    beforeEach(() => {
      hub.joinAnswer = { ...hub.joinAnswer, ticket: "users-id", visitor };
    });

    test("the SDK gets it, and neither asks for one nor stores it", async () => {
      await openLive();
      expect(hub.lastSocket.visitorId).toBe("users-id");
      expect(hub.requestsTo("get-id")).toEqual([]);
      expect(localStorage.getItem("chatix__visitorId_v1")).toBeNull();
    });

    test("the page that goes away leaves by socket and beacon, which names no connection", async () => {
      await openLive();
      expect(ledger()).toMatchObject([{ isBySite: true, mode: "hosted" }]);
      expect(JSON.stringify(ledger())).not.toContain("users-id");
      section.depart();
      await until(() => expect(hub.beacons).toHaveLength(1));
      expect(hub.beacons[0]).toMatchObject({ leaves: [{ chatroom_id: "room-1", connection_id: null }] });
      expect(hub.callsOf("DisconnectFromChatroom")).toHaveLength(1);
    });

    test("nobody leaves while another tab shows the room, nor does the site", async () => {
      await openLive();
      localStorage.setItem("chatix-comments:room:other-tab", JSON.stringify(ledger()[0]));
      section.depart();
      await vi.advanceTimersByTimeAsync(100);
      expect(hub.callsOf("DisconnectFromChatroom")).toEqual([]);
      expect(hub.beacons).toEqual([]);
    });

    test("one that the service refuses is reported, and another is used (Q11)", async () => {
      hub.refusedIds.add("users-id");
      open();
      await until(() => expect(hub.requestsTo("/join")).toHaveLength(2));
      const [first, second] = hub.requestsTo("/join");
      expect(first).not.toHaveProperty("is_refused");
      expect(second).toMatchObject({ is_refused: true, ticket: "users-id" });
      hub.joinAnswer = { ...hub.joinAnswer, ticket: "another-id" };
      await untilStatus("Live");
      expect(hub.lastSocket.visitorId).toBe("another-id");
      expect(hub.requestsTo("/join").filter((body) => body.is_refused)).toHaveLength(1);
    });

    test("one of which the service says later that it is invalid is reported as well (Q11)", async () => {
      hub.joinAnswer = { ...hub.joinAnswer, ticket: "invalid-id" };
      await openLive();
      hub.tell("OnInvalidVisitorIdConnected", ["invalid"]);
      await until(() => expect(hub.requestsTo("/join").at(-1)).toMatchObject({ is_refused: true }));
      hub.joinAnswer = { ...hub.joinAnswer, ticket: "another-id" };
      await until(() => expect(hub.lastSocket.visitorId).toBe("another-id"));
      await untilStatus("Live");
    });

    test("after signing out the reader is nobody's visitor again", async () => {
      await openLive();
      hub.joinAnswer = {
        ...hub.joinAnswer,
        ticket: null,
        visitor: { ...visitor, name: null, is_signed_in: false },
      };
      hub.cut();
      await untilStatus("Reconnecting");
      await untilStatus("Live");
      expect(hub.lastSocket.visitorId).toBe("fresh-id");
    });
  });

  test("the name of the site's user is announced before the first comment", async () => {
    const visitor = { id: null, name: "Toni", is_manager: false, is_signed_in: true, is_persistent: true };
    hub.joinAnswer = { ...hub.joinAnswer, visitor };
    await openLive();
    expect(hub.callsOf("SaveVisitorInfo")).toEqual([]);
    write("one");
    await untilTexts("one");
    write("two");
    await untilTexts("one", "two");
    expect(hub.callsOf("SaveVisitorInfo")).toHaveLength(1);
    expect([...host.querySelectorAll(".chatix-author")].map((it) => it.textContent)).toEqual([
      "Toni",
      "Toni",
    ]);
  });

  test("compares pages after an outage", async () => {
    for (const number of [1, 2, 3]) hub.post(`c${number}`);
    await openLive();
    hub.kill();
    await untilStatus("Reconnecting");
    hub.delete("m2");
    hub.edit("m3", "tres");
    for (let number = 4; number <= 60; number += 1) hub.post(`c${number}`);
    hub.isDown = false;
    await untilStatus("Live");
    expect(texts().slice(0, 3)).toEqual(["c1", "tres", "c4"]);
    expect(texts()).toHaveLength(59);
  });

  test("a comment whose fate is unknown is looked for, and not sent again by itself", async () => {
    await openLive();
    hub.losesAnswers = true;
    write("Did it arrive?", "Robin");
    await until(() => expect(status()).not.toBe("Live"));
    hub.losesAnswers = false;
    await untilStatus("Live");
    await until(() => expect(textBox().value).toBe(""));
    expect(hub.messages).toHaveLength(1);
    expect(alerts()).toEqual([]);
  });

  test("an equal comment of before is not taken for the lost one", async () => {
    await openLive();
    write("ok", "Robin");
    await untilTexts("ok");
    hub.isSilent = true;
    write("ok");
    await vi.advanceTimersByTimeAsync(16_000);
    hub.isSilent = false;
    await untilStatus("Live");
    await until(() => expect(alerts()).toHaveLength(1));
    expect(textBox().value).toBe("ok");
  });

  test("a comment that did not arrive is given back for the reader to decide", async () => {
    await openLive();
    write("First", "Robin");
    await untilTexts("First");
    hub.isSilent = true;
    write("Lost");
    await vi.advanceTimersByTimeAsync(16_000);
    hub.isSilent = false;
    await untilStatus("Live");
    await until(() =>
      expect(alerts()).toEqual(["The connection broke before your comment arrived. Post it again?"]),
    );
    expect(textBox().value).toBe("Lost");
    expect(textBox().readOnly).toBe(false);
    expect(hub.messages).toHaveLength(1);
  });

  test("leaves only when no other tab shows the room, and sends no beacon", async () => {
    await openLive();
    const other = { ...ledger()[0], connectionId: "elsewhere" };
    localStorage.setItem("chatix-comments:room:other-tab", JSON.stringify(other));
    section.depart();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(hub.callsOf("DisconnectFromChatroom")).toEqual([]);
    localStorage.removeItem("chatix-comments:room:other-tab");
    section.start();
    await untilStatus("Live");
    section.depart();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(hub.callsOf("DisconnectFromChatroom")).toHaveLength(1);
    expect(ledger()).toEqual([]);
    expect(hub.beacons).toEqual([]);
  });

  test("of two tabs that go at the same moment, one leaves", async () => {
    const storage = new SharedStorage();
    vi.spyOn(window, "localStorage", "get").mockReturnValue(storage);
    await openLive();
    const [own] = storage.keysOf("chatix-comments:");
    const entry = { ...JSON.parse(storage.getItem(own ?? "") ?? ""), connectionId: "elsewhere" };
    storage.setItem("chatix-comments:room:other-tab", JSON.stringify(entry));
    // The other tab erases its entry at the moment at which this one erases its own.
    storage.onRemove = () => storage.map.delete("chatix-comments:room:other-tab");
    section.depart();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(hub.callsOf("DisconnectFromChatroom")).toHaveLength(1);
  });

  test("a tab that is joining counts as one that shows the room", async () => {
    open();
    await until(() => expect(hub.callsOf("ConnectToChatroom")).toHaveLength(1));
    expect(ledger()).toHaveLength(1);
  });

  test("an element that goes over a line that was dead all the while leaves it to the next start", async () => {
    await openLive();
    const [entry] = ledger();
    hub.isSilent = true;
    section.close();
    await until(() => expect(hub.callsOf("DisconnectFromChatroom")).toHaveLength(1));
    expect(ledger()).toEqual([]);
    hub.kill();
    await until(() => expect(ledger()).toHaveLength(1));
    expect(ledger()[0]).toMatchObject({ chatroomId: entry?.chatroomId, isBySite: false });
  });

  test("what could not be said over an open line stays in the ledger", async () => {
    await openLive();
    hub.kill();
    await untilStatus("Reconnecting");
    section.depart();
    expect(ledger()).toHaveLength(1);
  });
});
