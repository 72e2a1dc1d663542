/** Managers, whispers and changes of comments in the whole section, with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openSection, type Section } from "../../browser/section";
import { FakeHub } from "./fake-hub";
import { loadParts } from "./parts";
import { until } from "./until";

const manager = { id: "me", name: "Marit", is_manager: true, is_signed_in: true, is_persistent: true };
const reader = { ...manager, name: "Toni", is_manager: false };

let hub: FakeHub;
let host: HTMLElement;
let section: Section;

// Faked time does not wait for a file.
beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  localStorage.clear();
  hub = new FakeHub().install();
});

afterEach(async () => {
  section.close();
  await vi.advanceTimersByTimeAsync(100);
  host.remove();
  vi.useRealTimers();
});

async function openLive(visitor: object): Promise<void> {
  hub.joinAnswer = { visitor };
  hub.isManager = visitor === manager;
  document.body.innerHTML = `<p data-post="post-token" data-endpoint="/chatix-comments"></p>`;
  host = document.querySelector("p") as HTMLElement;
  section = openSection(host);
  section.start();
  await untilStatus("Live");
}

const find = <T extends HTMLElement>(selector: string) => host.querySelector(selector) as T;
const untilStatus = (text: string) =>
  until(() => expect(find("[role=status].chatix-status").textContent).toBe(text));
const isVisible = (element: Element) => element.closest("[hidden]") === null;
const texts = () => [...host.querySelectorAll("article .chatix-text")].map((it) => it.textContent);
const untilTexts = (...wanted: string[]) => until(() => expect(texts()).toEqual(wanted));
const buttons = () => [...host.querySelectorAll<HTMLButtonElement>("article button")].filter(isVisible);
const words = () => buttons().map((it) => it.textContent);
const untilWords = (...wanted: string[]) => until(() => expect(words()).toEqual(wanted));
const alerts = () => [...host.querySelectorAll("[role=alert]")].filter(isVisible).map((it) => it.textContent);
const switchWhisper = () => find<HTMLInputElement>("input[name=whisper]").click();
const canWhisper = () => isVisible(find("input[name=whisper]"));
const composerBox = () => find<HTMLTextAreaElement>("textarea[name=text]");

function click(text: string): void {
  const button = buttons().find((it) => it.textContent === text);
  if (!button) throw new Error(`no button says ${text}: ${words()}`);
  button.focus();
  button.click();
}

function post(text: string): void {
  composerBox().value = text;
  composerBox().form?.dispatchEvent(new Event("submit", { cancelable: true }));
}

describe("a manager", () => {
  test("whispers by a method of its own, and sees whispers marked", async () => {
    hub.post("For all");
    hub.post("For us", "second", { is_whisper: true, sender_flag: 1 });
    await openLive(manager);
    expect(texts()).toEqual(["For all", "For us"]);
    switchWhisper();
    post("Agreed");
    await untilTexts("For all", "For us", "Agreed");
    expect(hub.callsOf("SendChatroomWhisper")).toEqual([["Agreed", "room-1", expect.any(String)]]);
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
    const marked = [...host.querySelectorAll(".chatix-whisper .chatix-text")].map((it) => it.textContent);
    expect(marked).toEqual(["For us", "Agreed"]);
    switchWhisper();
    post("Hello all");
    await untilTexts("For all", "For us", "Agreed", "Hello all");
    expect(hub.messages.map((it) => it.is_whisper ?? false)).toEqual([false, true, true, false]);
  });

  test("a whisper that an outage broke off stays a whisper", async () => {
    await openLive(manager);
    switchWhisper();
    hub.kill();
    await untilStatus("Reconnecting");
    post("Psst");
    switchWhisper();
    expect(find<HTMLInputElement>("input[name=whisper]").checked).toBe(true);
    hub.isDown = false;
    await untilTexts("Psst");
    expect(hub.messages[0]?.is_whisper).toBe(true);
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
  });

  test("edits and deletes what others wrote", async () => {
    hub.post("Rude", "other");
    await openLive(manager);
    click("Edit");
    find<HTMLTextAreaElement>("article textarea").value = "Polite";
    click("Save");
    await untilTexts("Polite");
    expect(hub.callsOf("UpdateChatroomMessage")).toEqual([["m1", "Polite", "room-1"]]);
    expect(find(".chatix-edited").textContent).toBe("edited");
    click("Delete");
    click("Delete");
    await untilTexts();
    expect(hub.callsOf("DeleteChatroomMessage")).toEqual([["m1", "room-1"]]);
    expect(find(".chatix-thread").contains(document.activeElement)).toBe(true);
  });

  test("of whom the site only thinks so has no controls", async () => {
    hub.post("one", "other");
    await openLive({ ...manager });
    expect([canWhisper(), words()]).toEqual([false, []]);
  });
});

describe("who is no manager any more", () => {
  beforeEach(async () => {
    hub.post("For all", "other");
    hub.post("For us", "second", { is_whisper: true });
    await openLive(manager);
    expect(texts()).toEqual(["For all", "For us"]);
  });

  test("loses whispers and controls at once when the hub says so, and gets them back", async () => {
    click("Edit");
    hub.setManager(false);
    await untilTexts("For all");
    expect([canWhisper(), words()]).toEqual([false, []]);
    expect(host.textContent).not.toContain("For us");
    hub.setManager(true);
    await untilTexts("For all", "For us");
    expect(canWhisper()).toBe(true);
    await untilWords("Edit", "Delete", "Edit", "Delete");
  });

  test("when another visitor's ticket comes: before anything else happens", async () => {
    switchWhisper();
    composerBox().value = "About this reader: ";
    hub.kill();
    hub.isManager = false;
    hub.joinAnswer = { visitor: { ...reader, id: "another" } };
    await untilTexts("For all");
    expect([canWhisper(), words(), composerBox().value]).toEqual([false, [], ""]);
    expect(alerts()).toEqual([
      "You are no manager here any more. What you were about to whisper has been removed.",
    ]);
    expect(find("[role=status]").textContent).not.toBe("Live");
    hub.isDown = false;
    await untilStatus("Live");
    expect(texts()).toEqual(["For all"]);
  });

  test("a whisper that waited for the line is not sent any more", async () => {
    switchWhisper();
    hub.kill();
    await untilStatus("Reconnecting");
    post("Psst");
    hub.isManager = false;
    hub.joinAnswer = { visitor: reader };
    hub.isDown = false;
    await untilStatus("Live");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(hub.callsOf("SendChatroomWhisper")).toEqual([]);
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
    expect(composerBox().value).toBe("");
    post("Hello");
    await untilTexts("For all", "Hello");
  });

  test("a whisper that was about to go is not sent", async () => {
    switchWhisper();
    post("Psst");
    hub.setManager(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(hub.callsOf("SendChatroomWhisper")).toEqual([]);
    expect(texts()).toEqual(["For all"]);
    expect(composerBox().value).toBe("");
    post("Hello");
    await untilTexts("For all", "Hello");
  });

  test("a whisper that is stored in that moment does not come back", async () => {
    switchWhisper();
    const receive = hub.receive.bind(hub);
    hub.receive = (socket, text) => {
      if (text.includes("SendChatroomWhisper"))
        socket.deliver({ type: 1, target: "OnManagerRightsChanged", arguments: [false] });
      receive(socket, text);
    };
    post("Psst");
    await until(() => expect(hub.messages.map(({ content }) => content)).toContain("Psst"));
    hub.isManager = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(texts()).toEqual(["For all"]);
    expect(composerBox().value).toBe("");
  });
});

describe("who becomes a manager", () => {
  test("gets the whispers of before", async () => {
    for (const number of [1, 2]) hub.post(`c${number}`, "other");
    hub.post("For us", "second", { is_whisper: true });
    hub.post("c3", "other");
    await openLive(reader);
    expect(texts()).toEqual(["c1", "c2", "c3"]);
    hub.setManager(true);
    await untilTexts("c2", "For us", "c3");
    expect(canWhisper()).toBe(true);
  });
});

describe("a reader", () => {
  test("changes own comments for as long as the hub's clock allows", async () => {
    // The browser's clock is wrong by a day.
    hub.skewS = 86_400;
    await openLive(reader);
    hub.post("Mine", "me", { sent_at: Date.now() / 1000 + 86_400 - 880 });
    hub.post("Theirs", "other", { sent_at: Date.now() / 1000 + 86_400 });
    await untilTexts("Mine", "Theirs");
    expect(words()).toEqual(["Edit", "Delete"]);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(words()).toEqual([]);
  });

  test("has controls on what was posted just now, and none where the site gives no time", async () => {
    await openLive(reader);
    hub.skewS = -99;
    hub.cut();
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    post("Hello");
    await untilWords("Edit", "Delete");
    hub.joinAnswer = { visitor: reader, limits: { edit_window_s: 0 } };
    hub.cut();
    await untilStatus("Reconnecting");
    await untilStatus("Live");
    expect(words()).toEqual([]);
  });

  test("a closed thread has no controls, an opened one has them again", async () => {
    hub.skewS = -99;
    hub.post("Mine", "me");
    await openLive(reader);
    expect(words()).toEqual(["Edit", "Delete"]);
    const room = { id: "room-1", title: "t", managers: [] };
    hub.tell("OnUpdateChatroom", [{ ...room, is_closed: true }]);
    await untilWords();
    hub.tell("OnUpdateChatroom", [{ ...room, is_closed: false }]);
    await untilWords("Edit", "Delete");
  });

  test("an edit made during an outage is saved when it is over", async () => {
    hub.skewS = -99;
    hub.post("First", "me");
    await openLive(reader);
    hub.kill();
    await untilStatus("Reconnecting");
    click("Edit");
    find<HTMLTextAreaElement>("article textarea").value = "Second";
    click("Save");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(find<HTMLTextAreaElement>("article textarea").value).toBe("Second");
    expect(host.textContent).toContain("Not saved yet.");
    hub.isDown = false;
    await untilTexts("Second");
    await untilWords("Edit", "Delete");
    expect(hub.messages[0]?.content).toBe("Second");
  });

  test("an edit whose answer does not come is sent again over the next line", async () => {
    hub.skewS = -99;
    hub.post("First", "me");
    await openLive(reader);
    hub.isSilent = true;
    click("Edit");
    find<HTMLTextAreaElement>("article textarea").value = "Second";
    click("Save");
    await vi.advanceTimersByTimeAsync(16_000);
    hub.isSilent = false;
    await untilTexts("Second");
    await untilWords("Edit", "Delete");
  });

  test("what the hub refuses is said at the comment", async () => {
    hub.skewS = -99;
    hub.post("First", "me");
    await openLive(reader);
    click("Edit");
    find<HTMLTextAreaElement>("article textarea").value = "forbidden";
    click("Save");
    await until(() => expect(alerts()).toEqual(["This message is too old to be changed."]));
    expect(find(".chatix-tools [role=alert]:not([hidden])")).not.toBeNull();
    expect(find<HTMLTextAreaElement>("article textarea").value).toBe("forbidden");
  });

  test("a comment that is deleted while it is edited leaves what was typed", async () => {
    hub.skewS = -99;
    for (const number of [1, 2, 3]) hub.post(`c${number}`, "me");
    await openLive(reader);
    buttons()[2]?.click();
    find<HTMLTextAreaElement>("article textarea").value = "Half a thought";
    hub.delete("m2");
    await until(() => expect(alerts()[0]).toMatch(/^This comment was deleted meanwhile/));
    expect(find<HTMLTextAreaElement>("article textarea").value).toBe("Half a thought");
    hub.post("c4", "other");
    await untilTexts("c1", "c2", "c3", "c4");
    click("Close");
    await untilTexts("c1", "c3", "c4");
  });
});

test("on the hosted service nobody has controls", async () => {
  hub.joinAnswer = { mode: "hosted", website_id: "site", ticket: null };
  hub.post("one", "hosted-visitor");
  hub.isManager = true;
  document.body.innerHTML = `<p data-post="post-token" data-endpoint="/chatix-comments"></p>`;
  host = document.querySelector("p") as HTMLElement;
  section = openSection(host);
  section.start();
  await untilStatus("Live");
  expect([canWhisper(), words()]).toEqual([false, []]);
});
