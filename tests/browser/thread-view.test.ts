import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { messageFrom } from "../../browser/sdk/wire";
import { ThreadState } from "../../browser/thread-state";
import { initialOf, ThreadView, toneOf } from "../../browser/thread-view";
import rendered from "../rendered_comments.json";
import { message, sharedFile, sharedImage } from "./messages";
import { loadParts } from "./parts";

let state: ThreadState;
let view: ThreadView;
let loadEarlier: () => Promise<void>;
/** What was done to articles: by the tools that a thread has, and to those that they keep. */
let kept: Set<string>;
const tools = { attach: vi.fn(), detach: (id: string) => kept.has(id) };

beforeAll(loadParts);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  state = new ThreadState();
  kept = new Set();
  loadEarlier = async () => {};
  view = new ThreadView(() => loadEarlier());
  view.tools = tools;
  document.body.replaceChildren(view.element);
});

afterEach(() => {
  view.stopClock();
  vi.useRealTimers();
});

const articles = () => [...view.element.querySelectorAll("article")];
const texts = () => articles().map((it) => it.querySelector(".chatix-text")?.textContent);
const button = () => view.element.querySelector("button") as HTMLButtonElement;

function show(...messages: ReturnType<typeof message>[]): void {
  for (const it of messages) state.add(it);
  view.render(state);
}

/** Put a thread on the page as templates/chatix_comments/thread.html does. */
function renderedThread(html: string, more = ""): Element {
  const thread = document.createElement("div");
  thread.innerHTML = `${more}<div class="chatix-list">${html}</div>`;
  return thread;
}

/** Leave out what depends on the reader's clock, place and script. */
function inEveryCase(article: Element | undefined): string {
  const copy = article?.cloneNode(true) as Element;
  for (const it of copy.querySelectorAll("[title]")) it.removeAttribute("title");
  for (const time of copy.querySelectorAll("time")) time.textContent = "";
  for (const image of copy.querySelectorAll("[aria-haspopup]")) image.removeAttribute("aria-haspopup");
  return copy.outerHTML;
}

describe("what the site has rendered", () => {
  test.each(rendered)("is what we make of the same comment: $name", ({ wire, html }) => {
    show(messageFrom(wire) as ReturnType<typeof message>);
    expect(inEveryCase(articles()[0])).toBe(
      inEveryCase(renderedThread(html).querySelector("article") ?? undefined),
    );
  });

  const [first, second] = rendered.map(({ html }) => html) as [string, string];
  const known = rendered.map(({ wire }) => messageFrom(wire) as ReturnType<typeof message>);

  test("is on the page before the thread is known, and stays there", () => {
    view.adopt(renderedThread(first + second));
    const before = articles();
    expect(before.length).toBe(2);
    expect(view.element.querySelector<HTMLElement>(".chatix-empty")?.hidden).toBe(true);
    show(...known.slice(0, 2));
    expect(articles()).toEqual(before);
    expect(tools.attach).toHaveBeenCalledTimes(2);
  });

  test("goes if it is not in the thread any more, and what is new has its place", () => {
    view.adopt(renderedThread(first + second));
    const [, kept] = articles();
    show(...known.slice(1, 3));
    expect(articles().length).toBe(2);
    expect(articles()[0]).toBe(kept);
    state.remove(known[1]?.id ?? "");
    view.render(state);
    expect(articles().map((it) => it.id)).toEqual([`comment-${known[2]?.id}`]);
  });

  test("says whether there is more before", () => {
    view.adopt(renderedThread(first, `<form><button class="chatix-earlier"></button></form>`));
    expect(button().hidden).toBe(false);
    view.adopt(renderedThread(first));
    expect(button().hidden).toBe(true);
  });
});

describe("rendering", () => {
  test("puts each message in its place and leaves the others alone", () => {
    show(message(1), message(3));
    const [first, third] = articles();
    show(message(2), message(4));
    expect(texts()).toEqual(["text 1", "text 2", "text 3", "text 4"]);
    expect([articles()[0], articles()[2]]).toEqual([first, third]);
  });

  test("an edit changes its article only, a deletion removes it", () => {
    show(message(1), message(2));
    const [first, second] = articles();
    show(message(1, { text: "new words", editedAt: new Date(1) }));
    state.remove("m2");
    view.render(state);
    expect(texts()).toEqual(["new words"]);
    expect(articles()).toEqual([first]);
    expect(second?.isConnected).toBe(false);
  });

  test("hostile text and names stay text", () => {
    const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
    show(message(1, { text: hostile, senderName: hostile }));
    expect(texts()).toEqual([hostile]);
    expect(view.element.querySelector(".chatix-author")?.textContent).toBe(hostile);
    expect(view.element.querySelector("img, script")).toBeNull();
  });

  test("text and names stand for themselves, whatever direction they call for", () => {
    show(message(1, { text: "\u202etext", senderName: "\u202ename" }));
    const text = view.element.querySelector(".chatix-text");
    const author = view.element.querySelector(".chatix-author");
    expect([text?.textContent, text?.getAttribute("dir")]).toEqual(["\u202etext", "auto"]);
    expect([author?.textContent, author?.localName]).toEqual(["\u202ename", "bdi"]);
  });

  test("names that are missing are guests; managers have a badge; own comments are marked", () => {
    show(message(1, { senderName: " " }), message(2, { isFromManager: true, senderId: "me" }));
    expect(articles()[0]?.querySelector(".chatix-byline")?.textContent).toBe("Guest 16 minutes ago");
    view.selfId = "me";
    expect(articles()[1]?.querySelector(".chatix-byline")?.textContent).toBe("Kim Team (you) 16 minutes ago");
    view.selfId = "somebody else";
    expect(view.element.querySelector(".chatix-you")).toBeNull();
  });

  test("a file takes the place of the text, and an image of it opens in place", async () => {
    show(message(1, { text: "", file: sharedFile() }), message(2, { text: "", file: sharedImage() }));
    const [file, image] = [...view.element.querySelectorAll<HTMLAnchorElement>(".chatix-text a")];
    expect(file?.textContent).toBe("notes.pdf");
    image?.click();
    vi.useRealTimers();
    await vi.waitFor(() => expect(view.element.querySelector("dialog")?.open).toBe(true));
  });

  test("a name is no badge, and a badge is no text", () => {
    show(
      message(1, { senderName: "Kim Team" }),
      message(2, { senderName: "Manager ✓" }),
      message(3, { isFromManager: true }),
    );
    const badges = articles().map((it) => it.querySelector(".chatix-badge"));
    expect(badges.map((it) => it && [it.getAttribute("role"), it.getAttribute("aria-label")])).toEqual([
      null,
      null,
      ["img", "Team"],
    ]);
    expect(badges[2]?.closest("bdi")).toBeNull();
  });

  test("whispers are marked, in words too", () => {
    show(message(1), message(2, { isWhisper: true }));
    expect(articles().map((it) => it.classList.contains("chatix-whisper"))).toEqual([false, true]);
    expect(articles()[1]?.textContent).toContain("Whisper, for managers only");
    expect(articles()[0]?.textContent).not.toContain("Whisper");
  });

  test("times go on while the clock runs", () => {
    show(message(999));
    const time = view.element.querySelector("time");
    expect(time?.textContent).toBe("just now");
    view.startClock();
    vi.advanceTimersByTime(90_000);
    expect(time?.textContent).toBe("1 minute ago");
    view.stopClock();
    vi.advanceTimersByTime(3_600_000);
    expect(time?.textContent).toBe("1 minute ago");
    view.startClock();
    expect(time?.textContent).toBe("1 hour ago");
  });
});

describe("an article whose comment goes", () => {
  const focus = (article: HTMLElement | undefined) => {
    const button = document.createElement("button");
    article?.append(button);
    button.focus();
  };

  test("hands the keyboard to its neighbour", () => {
    show(message(1), message(2), message(3));
    const [first, second, third] = articles();
    focus(second);
    state.remove("m2");
    view.render(state);
    expect(document.activeElement).toBe(third);
    state.remove("m3");
    view.render(state);
    expect(document.activeElement).toBe(first);
    state.remove("m1");
    view.render(state);
    expect(document.activeElement).toBe(view.element);
  });

  test("leaves the keyboard where it is if it is elsewhere", () => {
    show(message(1), message(2));
    focus(articles()[0]);
    const before = document.activeElement;
    state.remove("m2");
    view.render(state);
    expect(document.activeElement).toBe(before);
  });

  test("stays in its place if something is being typed there", () => {
    show(message(1), message(2), message(3));
    kept.add("m2");
    state.remove("m2");
    view.render(state);
    show(message(4));
    show(message(1, { text: "edited", editedAt: new Date(1) }));
    expect(texts()).toEqual(["edited", "text 2", "text 3", "text 4"]);
    expect(articles()[1]?.classList.contains("chatix-gone")).toBe(true);
  });

  test("is equipped once for each version", () => {
    tools.attach.mockClear();
    show(message(1), message(2));
    show(message(3));
    show(message(2, { text: "edited", editedAt: new Date(1) }));
    expect(tools.attach.mock.calls.map(([, { id, text }]) => `${id} ${text}`)).toEqual([
      "m1 text 1",
      "m2 text 2",
      "m3 text 3",
      "m2 edited",
    ]);
  });
});

describe("earlier comments", () => {
  test("the keyboard is not sent back to the top when the button goes away", async () => {
    state.addPage([message(2)], true);
    view.render(state);
    loadEarlier = async () => {
      state.addPage([message(1)], false);
      view.render(state);
    };
    button().focus();
    button().click();
    expect(button().getAttribute("aria-disabled")).toBe("true");
    await vi.advanceTimersByTimeAsync(0);
    expect(button().hidden).toBe(true);
    expect(document.activeElement).toBe(articles()[0]);
  });

  test("the button keeps the keyboard while there is more, and does nothing while it is at work", async () => {
    state.addPage([message(3)], true);
    view.render(state);
    let calls = 0;
    loadEarlier = async () => {
      calls += 1;
      state.addPage([message(2)], true);
      view.render(state);
    };
    button().focus();
    button().click();
    button().click();
    expect(button().disabled).toBe(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toBe(1);
    expect(document.activeElement).toBe(button());
    expect(button().hasAttribute("aria-disabled")).toBe(false);
  });

  test("are not read out; what comes afterwards is", async () => {
    const list = view.element.querySelector(".chatix-list");
    state.addPage([message(2)], true);
    view.render(state);
    expect(list?.getAttribute("aria-live")).toBeNull();
    view.startAnnouncing();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(list?.getAttribute("aria-live")).toBe("polite");
    button().click();
    expect(list?.getAttribute("aria-live")).toBeNull();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(list?.getAttribute("aria-live")).toBe("polite");
  });
});

test.each([
  ["Robin", "R"],
  ["émilie", "É"],
  ["  «anna»", "A"],
  ["👩‍👩‍👧 family", "👩‍👩‍👧"],
  ["7 dwarfs", "7"],
  ["…", "?"],
  ["", "?"],
])("the initial of %j is %j", (name, initial) => {
  expect(initialOf(name)).toBe(initial);
});

test("the initial needs no Intl.Segmenter", () => {
  vi.stubGlobal("Intl", {});
  expect(initialOf("«robin»")).toBe("R");
});

test("one person has one tone, and tones are few", () => {
  expect(toneOf("abc")).toBe(toneOf("abc"));
  const tones = new Set(Array.from({ length: 500 }, (_, index) => toneOf(`visitor-${index}`)));
  expect([...tones].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});
