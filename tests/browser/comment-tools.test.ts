import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Viewer } from "../../browser/comment-rights";
import { CommentTools } from "../../browser/comment-tools";
import { LineError, RefusedError } from "../../browser/sdk/chat";
import type { ThreadMessage } from "../../browser/thread-state";
import { message, sharedFile } from "./messages";
import { loadParts } from "./parts";

/** The hub's clock is an hour ahead of the browser's. */
const SKEW_MS = 3_600_000;
const WINDOW_MS = 900_000;

let tools: CommentTools;
let viewer: Viewer;
let calls: string[];
/** How the next call ends; without one it succeeds. */
let failure: Error | null;
let answers: Promise<void> | null;

beforeAll(loadParts);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  document.body.replaceChildren();
  calls = [];
  failure = null;
  answers = null;
  const answer = async (call: string) => {
    calls.push(call);
    await answers;
    if (failure) throw failure;
  };
  tools = new CommentTools({
    edit: (id, text) => answer(`edit ${id} ${text}`),
    remove: (id) => answer(`remove ${id}`),
  });
  viewer = {
    selfId: "me",
    isManager: false,
    isClosed: false,
    editWindowMs: WINDOW_MS,
    messageChars: 20,
    now: () => new Date(Date.now() + SKEW_MS),
  };
  tools.viewer = viewer;
});

afterEach(() => {
  tools.stop();
  vi.useRealTimers();
});

/** Make a message that was sent so long ago by the hub's clock. */
const sentAgo = (ms: number, changes: Partial<ThreadMessage> = {}) =>
  message(1, { senderId: "me", sentAt: new Date(Date.now() + SKEW_MS - ms), ...changes });

const mine = sentAgo;

function show(...messages: ThreadMessage[]): HTMLElement[] {
  return messages.map((it) => {
    const article = document.querySelector<HTMLElement>(`#${it.id}`) ?? document.createElement("article");
    article.id = it.id;
    if (!article.isConnected) document.body.append(article);
    tools.attach(article, it);
    return article;
  });
}

const isVisible = (element: Element) => element.closest("[hidden]") === null;
const buttons = () => [...document.querySelectorAll("button")].filter(isVisible);
const names = () => buttons().map((it) => it.getAttribute("aria-label") ?? it.textContent);
const words = () => buttons().map((it) => it.textContent);
const alerts = () =>
  [...document.querySelectorAll("[role=alert]")].filter(isVisible).map((it) => it.textContent);
const status = () => [...document.querySelectorAll("[role=status]")].map((it) => it.textContent).join("");
const box = () => document.querySelector("textarea") as HTMLTextAreaElement;
const settled = () => vi.advanceTimersByTimeAsync(0);

function click(text: string): void {
  const button = buttons().find((it) => it.textContent === text);
  if (!button) throw new Error(`no button says ${text}: ${words()}`);
  button.focus();
  button.click();
}

const press = (key: string, init: KeyboardEventInit = {}) =>
  document.activeElement?.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }),
  );

async function save(text: string): Promise<void> {
  box().value = text;
  click("Save");
  await settled();
}

describe("who gets what", () => {
  test("readers their own comments, managers all, each named for those who only hear", () => {
    const other = message(2, {
      senderName: "Kim",
      text: "Another  one,\nand a longer one than can be read out loud",
    });
    show(mine(1000, { text: "First" }), other, message(3, { senderName: null, text: "x" }));
    expect(names()).toEqual(["Edit your comment: “First”", "Delete your comment: “First”"]);
    tools.viewer = { ...viewer, isManager: true };
    expect(names()).toEqual([
      "Edit your comment: “First”",
      "Delete your comment: “First”",
      "Edit the comment of Kim: “Another one, and a longer one than can b…”",
      "Delete the comment of Kim: “Another one, and a longer one than can b…”",
      "Edit the comment of a guest: “x”",
      "Delete the comment of a guest: “x”",
    ]);
    tools.viewer = viewer;
    expect(names()).toHaveLength(2);
  });

  test("files can be deleted only", () => {
    show(mine(1000, { file: sharedFile(), text: "" }));
    expect(names()).toEqual(["Delete your comment"]);
  });

  test.each<[string, Partial<Viewer>]>([
    ["without a window", { editWindowMs: 0 }],
    ["while nobody says what time it is", { now: () => null }],
    ["where nothing is known of the reader", { selfId: null }],
    ["in a closed thread", { isClosed: true }],
  ])("nobody gets anything %s, except managers", (_, changes) => {
    tools.viewer = { ...viewer, ...changes };
    show(mine(0));
    expect(names()).toEqual([]);
    tools.viewer = { ...viewer, ...changes, isManager: true };
    expect(names()).toHaveLength(2);
  });

  test("the window closes by the hub's clock, to the second, for each comment by itself", () => {
    show(mine(WINDOW_MS - 5000), mine(WINDOW_MS - 60_000, { id: "m2" }), mine(WINDOW_MS, { id: "m3" }));
    expect(words()).toEqual(["Edit", "Delete", "Edit", "Delete"]);
    vi.advanceTimersByTime(4990);
    expect(words()).toHaveLength(4);
    vi.advanceTimersByTime(20);
    expect(words()).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(words()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a window of years needs no timer that browsers cannot keep", () => {
    tools.viewer = { ...viewer, editWindowMs: 1e12 };
    show(mine(0));
    vi.advanceTimersByTime(1000);
    expect(words()).toEqual(["Edit", "Delete"]);
    expect(vi.getTimerCount()).toBe(1);
  });

  test("buttons that go take the keyboard nowhere else", () => {
    const [article] = show(mine(WINDOW_MS - 1000));
    buttons()[0]?.focus();
    vi.advanceTimersByTime(2000);
    expect(document.activeElement).toBe(article);
  });

  test("hostile text stays text", () => {
    show(mine(0, { text: `"><img src=x onerror=alert(1)>` }));
    expect(document.querySelector("img")).toBeNull();
    expect(names()[0]).toBe(`Edit your comment: “"><img src=x onerror=alert(1)>”`);
  });
});

describe("editing", () => {
  test("happens in place, with the keyboard in the box and then back on the button", async () => {
    const [article] = show(mine(0, { text: "First" }));
    click("Edit");
    expect([box().value, box().getAttribute("aria-label")]).toEqual(["First", "Edit your comment: “First”"]);
    expect(document.activeElement).toBe(box());
    expect(article?.classList.contains("chatix-editing")).toBe(true);
    expect(words()).toEqual(["Cancel", "Save"]);
    await save(" Second ");
    expect(calls).toEqual(["edit m1 Second"]);
    expect(words()).toEqual(["Edit", "Delete"]);
    expect(document.activeElement?.textContent).toBe("Edit");
    expect(article?.classList.contains("chatix-editing")).toBe(false);
  });

  test("Ctrl+Enter saves, Escape cancels, and neither in the middle of a composition", async () => {
    show(mine(0, { text: "First" }));
    click("Edit");
    box().value = "Second";
    press("Enter");
    press("Enter", { ctrlKey: true, isComposing: true });
    press("Escape", { isComposing: true });
    expect(calls).toEqual([]);
    press("Escape");
    expect(words()).toEqual(["Edit", "Delete"]);
    expect(document.activeElement?.textContent).toBe("Edit");
    click("Edit");
    expect(box().value).toBe("First");
    box().value = "Third";
    press("Enter", { metaKey: true });
    await settled();
    expect(calls).toEqual(["edit m1 Third"]);
  });

  test("what changes nothing is not sent; what is no comment is said", async () => {
    show(mine(0, { text: "First" }));
    click("Edit");
    await save("  ");
    expect(alerts()).toEqual(["Write something first."]);
    expect([document.activeElement, box().getAttribute("aria-invalid")]).toEqual([box(), "true"]);
    await save("x".repeat(21));
    expect(alerts()).toEqual(["A comment has at most 20 characters; this one has 21."]);
    await save("First");
    expect(words()).toEqual(["Edit", "Delete"]);
    expect(calls).toEqual([]);
  });

  test("what the hub refuses is said, and the text stays", async () => {
    show(mine(0));
    click("Edit");
    failure = new RefusedError("This message is too old to be changed.");
    await save("Late");
    expect(alerts()).toEqual(["This message is too old to be changed."]);
    expect([box().value, box().readOnly]).toEqual(["Late", false]);
    failure = null;
    await save("Later");
    expect(calls).toEqual(["edit m1 Late", "edit m1 Later"]);
    expect(alerts()).toEqual([]);
  });

  test("while it is saved nothing can be typed, sent twice or called off", async () => {
    show(mine(0));
    click("Edit");
    let answer = () => {};
    answers = new Promise((resolve) => (answer = resolve));
    await save("Second");
    expect([box().readOnly, words()]).toEqual([true, ["Cancel", "Saving…"]]);
    click("Saving…");
    click("Cancel");
    press("Escape");
    tools.resume();
    await settled();
    expect(calls).toHaveLength(1);
    answer();
    await settled();
    expect(words()).toEqual(["Edit", "Delete"]);
  });

  test("an outage keeps the text until it is acknowledged", async () => {
    show(mine(0));
    click("Edit");
    failure = new LineError("gone", true);
    await save("Second");
    expect(status()).toContain("Not saved yet.");
    expect([box().value, box().readOnly, alerts()]).toEqual(["Second", true, []]);
    tools.resume();
    await settled();
    expect(status()).toContain("Not saved yet.");
    failure = null;
    tools.resume();
    await settled();
    expect(calls).toEqual(["edit m1 Second", "edit m1 Second", "edit m1 Second"]);
    expect(words()).toEqual(["Edit", "Delete"]);
  });

  test("what waits for a line can be called off", async () => {
    show(mine(0));
    click("Edit");
    failure = new LineError("gone", true);
    await save("Second");
    click("Cancel");
    failure = null;
    tools.resume();
    await settled();
    expect(calls).toHaveLength(1);
    click("Edit");
    expect([box().readOnly, status()]).toEqual([false, ""]);
  });

  test("an answer that got lost is found in the thread", async () => {
    show(mine(0, { text: "First" }));
    click("Edit");
    failure = new LineError("gone", true);
    await save("Second");
    show(mine(0, { text: "Second" }));
    expect(words()).toEqual(["Edit", "Delete"]);
    tools.resume();
    await settled();
    expect(calls).toHaveLength(1);
  });

  test("somebody else's change is said, shown, and not lost sight of", async () => {
    const [article] = show(mine(0, { text: "First" }));
    click("Edit");
    box().value = "Mine";
    show(mine(0, { text: "Theirs" }));
    expect(alerts()).toEqual([
      "This comment was changed meanwhile: it now reads as above. Saving puts your text in its place.",
    ]);
    expect(box().value).toBe("Mine");
    expect(article?.classList.contains("chatix-changed")).toBe(true);
    await save("Mine");
    expect(calls).toEqual(["edit m1 Mine"]);
    expect(article?.classList.contains("chatix-changed")).toBe(false);
  });

  test("somebody else's deletion leaves what was typed, to be copied", () => {
    const [article, neighbour] = show(mine(0), message(2));
    click("Edit");
    box().value = "Half a thought";
    expect(tools.detach("m1")).toBe(true);
    expect(alerts()).toEqual([
      "This comment was deleted meanwhile. What you wrote is still here, for you to copy.",
    ]);
    expect([box().value, box().readOnly]).toEqual(["Half a thought", false]);
    expect(words()).toEqual(["Close"]);
    press("Enter", { ctrlKey: true });
    expect(calls).toEqual([]);
    click("Close");
    expect(article?.isConnected).toBe(false);
    expect(document.activeElement).toBe(neighbour);
  });

  test("a comment that goes while nobody is at it goes with its article", () => {
    show(mine(0));
    expect(tools.detach("m1")).toBe(false);
    expect(tools.detach("unknown")).toBe(false);
  });

  test("the end of the window leaves what is being typed, and the hub its say", async () => {
    show(mine(WINDOW_MS - 1000));
    click("Edit");
    box().value = "Slowly";
    vi.advanceTimersByTime(5000);
    expect(box().value).toBe("Slowly");
    failure = new RefusedError("This message is too old to be changed.");
    await save("Slowly");
    expect(alerts()).toEqual(["This message is too old to be changed."]);
    click("Cancel");
    expect(words()).toEqual([]);
    expect(document.activeElement?.id).toBe("m1");
  });
});

describe("deleting", () => {
  test("asks first, in place, with the keyboard on the harmless answer", async () => {
    show(mine(0, { text: "First" }));
    click("Delete");
    expect(document.querySelector("[role=group]")?.getAttribute("aria-label")).toBe(
      "Delete your comment: “First”",
    );
    expect(document.activeElement?.textContent).toBe("Keep");
    click("Keep");
    expect(document.activeElement?.textContent).toBe("Delete");
    click("Delete");
    press("Escape");
    expect(words()).toEqual(["Edit", "Delete"]);
    expect(calls).toEqual([]);
    click("Delete");
    click("Delete");
    await settled();
    expect(calls).toEqual(["remove m1"]);
  });

  test("what the hub refuses is said at the comment", async () => {
    show(mine(0));
    click("Delete");
    failure = new RefusedError("This message is too old to be changed.");
    click("Delete");
    await settled();
    expect(alerts()).toEqual(["This message is too old to be changed."]);
    expect(document.activeElement?.textContent).toBe("Delete");
    click("Edit");
    expect(alerts()).toEqual([]);
  });

  test("is done once, cannot be called back, and goes on after an outage", async () => {
    show(mine(0));
    click("Delete");
    let answer = () => {};
    answers = new Promise((resolve) => (answer = resolve));
    click("Delete");
    click("Deleting…");
    click("Keep");
    press("Escape");
    expect(words()).toEqual(["Deleting…", "Keep"]);
    failure = new LineError("gone", true);
    answer();
    await settled();
    expect(status()).toContain("Not deleted yet.");
    failure = answers = null;
    tools.resume();
    await settled();
    expect(calls).toEqual(["remove m1", "remove m1"]);
  });

  test("what waits for a line can be called off", async () => {
    show(mine(0));
    click("Delete");
    failure = new LineError("gone", true);
    click("Delete");
    await settled();
    click("Keep");
    tools.resume();
    await settled();
    expect(calls).toHaveLength(1);
    expect([words(), status()]).toEqual([["Edit", "Delete"], ""]);
  });

  test("a question that nobody answers goes with the window", () => {
    show(mine(WINDOW_MS - 1000));
    click("Delete");
    vi.advanceTimersByTime(2000);
    expect(words()).toEqual([]);
    expect(document.activeElement?.id).toBe("m1");
  });
});

describe("who is no manager any more", () => {
  beforeEach(() => {
    tools.viewer = { ...viewer, isManager: true };
  });

  test("loses all controls at once, what is being typed in others' comments too", async () => {
    show(message(1), message(2));
    click("Edit");
    failure = new LineError("gone", true);
    await save("Moderated");
    tools.viewer = viewer;
    expect(document.querySelectorAll("button, textarea")).toHaveLength(0);
    expect(document.activeElement?.id).toBe("m1");
    tools.resume();
    await settled();
    expect(calls).toHaveLength(1);
  });

  test("keeps what is being typed in own comments", () => {
    show(mine(0));
    click("Edit");
    box().value = "Still mine";
    tools.viewer = viewer;
    expect(box().value).toBe("Still mine");
  });

  test("keeps nothing of a whisper, not even in a box", () => {
    show(mine(0, { isWhisper: true }));
    click("Edit");
    tools.viewer = viewer;
    expect(tools.detach("m1")).toBe(false);
  });
});
