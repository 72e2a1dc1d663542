/** Parts that come late: what they bring appears when they have come, and a failure costs no more than that. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Onlooker } from "../../browser/delivery";
import { message, sharedImage } from "./messages";

const viewer: Onlooker = {
  selfId: "me",
  isManager: true,
  isClosed: false,
  limits: {},
  now: () => new Date(),
};

beforeEach(() => {
  vi.resetModules();
  document.body.replaceChildren();
});

afterEach(() => {
  vi.doUnmock("../../browser/load-aids");
  vi.doUnmock("../../browser/load-writing");
  vi.doUnmock("../../browser/load-part");
});

type Loader<T> = ReturnType<typeof vi.fn> & { loaded: T | null };

/** A loader that fails once; what it brings is there from the second time on. */
function lateLoader<T>(part: T): Loader<T> {
  const load = Object.assign(vi.fn(), { loaded: null as T | null });
  load.mockRejectedValueOnce(new TypeError("Failed to fetch")).mockImplementation(async () => {
    load.loaded = part;
    return part;
  });
  return load;
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("what can be done with a comment comes with the part that can, also to what was shown before", async () => {
  const load = lateLoader(await import("../../browser/writing"));
  vi.doMock("../../browser/load-writing", () => ({ loadWriting: load }));
  const { ThreadState } = await import("../../browser/thread-state");
  const { ThreadView } = await import("../../browser/thread-view");
  const { Writer } = await import("../../browser/writer");
  const view = new ThreadView(async () => {});
  const state = new ThreadState();
  const writer = new Writer({
    liveChat: () => ({ isGapProof: true }) as never,
    visitor: () => null,
    state: () => state,
    takePart: vi.fn(),
    posted: vi.fn(),
    edited: vi.fn(),
    removed: vi.fn(),
    equip: (tools) => {
      view.tools = tools;
    },
  });
  document.body.append(view.element);
  state.add(message(1));
  view.render(state);
  writer.start();
  writer.viewer = { ...viewer, isManager: false };
  expect(load).not.toHaveBeenCalled();
  writer.viewer = viewer;
  writer.setManager(true);
  await settled();
  const tools = () => [...view.list.querySelectorAll("button")].map((button) => button.textContent);
  expect(tools()).toEqual([]);
  writer.settle();
  await settled();
  expect(tools()).toEqual(["Edit", "Delete", "Delete", "Keep"]);
  state.add(message(2));
  view.render(state);
  expect(tools()).toHaveLength(8);
  expect(load).toHaveBeenCalledTimes(2);
  writer.stop();
});

test("what the part that shows files cannot do yet is done when it has come", async () => {
  const load = lateLoader(await import("../../browser/aids"));
  vi.doMock("../../browser/load-aids", () => ({ loadAids: load }));
  const { ThreadSync } = await import("../../browser/thread-sync");
  const { ThreadView } = await import("../../browser/thread-view");
  const { Reading } = await import("../../browser/reading");
  const view = new ThreadView(async () => {});
  document.body.append(view.element);
  const frame = { region: document.body, count: 0 } as never;
  const thread = new ThreadSync();
  const reading = new Reading(thread, view, document.createElement("form"), frame, async () => {});
  thread.add(message(1, { file: sharedImage({ name: "cat.png" }) }));
  const done = vi.fn();
  reading.render(done);
  expect([view.list.childElementCount, done.mock.calls.length]).toEqual([0, 0]);
  await settled();
  expect([view.list.textContent?.includes("cat.png"), done.mock.calls.length]).toEqual([true, 1]);
  expect(document.querySelector("img")).toBeNull();
  reading.render();
  await settled();
  expect(document.querySelectorAll("img")).toHaveLength(1);
  document.querySelector("img")?.click();
  expect(document.querySelector("dialog")?.open).toBe(true);
});

test("links are text until the part comes that makes them, and those that the site has made stay", async () => {
  const load = lateLoader(await import("../../browser/aids"));
  vi.doMock("../../browser/load-aids", () => ({ loadAids: load }));
  const { ThreadSync } = await import("../../browser/thread-sync");
  const { ThreadView } = await import("../../browser/thread-view");
  const { Reading } = await import("../../browser/reading");
  const view = new ThreadView(async () => {});
  const rendered = document.createElement("div");
  rendered.innerHTML = `<article class="chatix-comment" id="comment-m1"><span class="chatix-avatar"></span>
    <p class="chatix-byline"></p><div class="chatix-text">see <a href="https://a.test/">https://a.test/</a></div></article>`;
  view.adopt(rendered);
  document.body.append(view.element);
  const frame = { region: document.body, count: 0 } as never;
  const thread = new ThreadSync();
  const reading = new Reading(thread, view, document.createElement("form"), frame, async () => {});
  const links = () => [...view.list.querySelectorAll(".chatix-text a")].map((link) => link.textContent);
  const made = view.list.querySelector(".chatix-text a");
  thread.add(message(1, { text: "see https://a.test/" }));
  reading.render();
  await settled();
  expect(load).not.toHaveBeenCalled();
  thread.add(message(2, { text: "or https://b.test/" }));
  thread.add(message(3, { text: "nothing to see" }));
  reading.render();
  const plain = view.articleOf("m3")?.querySelector(".chatix-text")?.firstChild;
  expect(view.articleOf("m2")?.textContent).toContain("or https://b.test/");
  await settled();
  expect(links()).toEqual(["https://a.test/"]);
  expect(view.list.querySelector(".chatix-text a")).toBe(made);
  // The first time it could not be had.
  reading.render();
  await settled();
  expect(load).toHaveBeenCalledTimes(2);
  expect(links()).toEqual(["https://a.test/", "https://b.test/"]);
  // What has no links is not touched: a reader may have marked some of it.
  expect(view.articleOf("m3")?.querySelector(".chatix-text")?.firstChild).toBe(plain);
  thread.state.update(message(1, { text: "not https://a.test/", editedAt: new Date() }));
  reading.render();
  expect(view.articleOf("m1")?.querySelector(".chatix-text")?.textContent).toBe("not https://a.test/");
  expect(links()).toEqual(["https://a.test/", "https://b.test/"]);
});

test("a chat on the hosted service whose part does not come is a broken line", async () => {
  const loader = Object.assign(() => Promise.reject(new TypeError("Failed to fetch")), { loaded: null });
  vi.doMock("../../browser/load-part", () => ({ partLoader: () => loader }));
  const { newChat } = await import("../../browser/sdk/new-chat");
  const { LineError } = await import("../../browser/sdk/chat");
  const chat = newChat({ mode: "hosted", sdk: "bundled" } as never, {} as never);
  await expect(chat).rejects.toBeInstanceOf(LineError);
});

test("a picture is attached all the same where the part does not come that looks into it", async () => {
  const load = vi.fn(() => Promise.reject(new TypeError("Failed to fetch")));
  vi.doMock("../../browser/load-part", () => ({ partLoader: () => Object.assign(load, { loaded: null }) }));
  const { Attachments } = await import("../../browser/attachments");
  const { CommentForm } = await import("../../browser/comment-form");
  const heard = {
    changed: vi.fn(),
    counted: vi.fn(),
    refused: vi.fn(),
    withdrawn: vi.fn(),
    retried: vi.fn(),
  };
  const attachments = new Attachments(new CommentForm(), heard);
  attachments.limits = { most: 3, bytes: null, pixels: null, types: null };
  const broken = new File(["no picture at all"], "cat.png", { type: "image/png" });
  attachments.take([broken]);
  await vi.waitFor(() => expect(load.mock.results[0]?.value).rejects.toThrow());
  await new Promise((resolve) => setTimeout(resolve));
  expect(attachments.files).toEqual([broken]);
  expect(heard.refused).not.toHaveBeenCalled();
});
