/** Parts that come late: what they bring appears when they have come, and a failure costs no more than that. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Viewer } from "../../browser/comment-rights";
import { message, sharedImage } from "./messages";

const viewer: Viewer = {
  selfId: "me",
  isManager: true,
  isClosed: false,
  editWindowMs: 0,
  messageChars: 20,
  now: () => new Date(),
};

beforeEach(() => {
  vi.resetModules();
  document.body.replaceChildren();
});

afterEach(() => {
  vi.doUnmock("../../browser/load-actions");
  vi.doUnmock("../../browser/load-part");
});

async function showWithTools() {
  const { CommentTools } = await import("../../browser/comment-tools");
  const tools = new CommentTools({ edit: async () => {}, remove: async () => {} });
  tools.viewer = viewer;
  const article = document.createElement("article");
  document.body.append(article);
  tools.attach(article, message(1));
  return tools;
}

const buttons = () => [...document.querySelectorAll("button")].map((button) => button.textContent);

test("what can be done with a comment comes when its part has", async () => {
  await showWithTools();
  expect(buttons()).toEqual([]);
  await vi.waitFor(() => expect(buttons()).toEqual(["Edit", "Delete", "Delete", "Keep"]));
});

test("a part that did not come is asked for again at the next look", async () => {
  const part = await import("../../browser/comment-actions");
  const load = Object.assign(vi.fn(), { loaded: null as unknown });
  load.mockRejectedValueOnce(new TypeError("Failed to fetch")).mockImplementationOnce(async () => {
    load.loaded = part;
  });
  vi.doMock("../../browser/load-actions", () => ({ loadActions: load }));
  const tools = await showWithTools();
  await vi.waitFor(() => expect(load.mock.results[0]?.value).rejects.toThrow());
  await new Promise((resolve) => setTimeout(resolve));
  tools.refresh();
  await vi.waitFor(() => expect(buttons()).toContain("Edit"));
  expect(load).toHaveBeenCalledTimes(2);
});

async function clickOnImage(): Promise<boolean> {
  const { openImagesInPlace } = await import("../../browser/lightbox");
  const { fileNode } = await import("../../browser/shared-file");
  document.body.append(fileNode(sharedImage({ name: "cat.png" })));
  openImagesInPlace(document.body, document.body);
  const click = new MouseEvent("click", { bubbles: true, cancelable: true });
  return document.querySelector("img")?.dispatchEvent(click) ?? true;
}

test("the first image opens when the dialog's part has come", async () => {
  expect(await clickOnImage()).toBe(false);
  await vi.waitFor(() => expect(document.querySelector("dialog")?.open).toBe(true));
});

test("an image is followed as a link where the dialog's part does not come", async () => {
  const loader = Object.assign(() => Promise.reject(new TypeError("Failed to fetch")), { loaded: null });
  vi.doMock("../../browser/load-part", () => ({ partLoader: () => loader }));
  const assign = vi.spyOn(location, "assign").mockImplementation(() => {});
  await clickOnImage();
  await vi.waitFor(() => expect(assign.mock.calls).toEqual([["https://hub.example/files/a/cat.png"]]));
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
