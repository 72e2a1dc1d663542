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
