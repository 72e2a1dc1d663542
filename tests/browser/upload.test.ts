import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { setApiBase, VENDOR_API_URL } from "../../browser/sdk/shims/api-base";
import axios, { RequestError, uploadBy } from "../../browser/sdk/shims/axios";
import { type Transfer, UploadError, upload, watch } from "../../browser/sdk/upload-request";
import { API_URL, FakeHub } from "./fake-hub";

const file = () => new File(["12345678"], "notes.txt", { type: "text/plain" });

let hub: FakeHub;
let parts: number[];

beforeEach(() => {
  vi.useFakeTimers();
  hub = new FakeHub().install();
  hub.holdsUploads = true;
  parts = [];
  setApiBase("local", API_URL);
  uploadBy(upload);
});

afterEach(() => {
  vi.useRealTimers();
});

function post(chosen = file()): Promise<{ status: number; data: unknown }> {
  const body = new FormData();
  body.append("formFile", chosen);
  return axios.post(`${VENDOR_API_URL}/file/save?visitorId=v&websiteId=local&chatroomId=r`, body);
}

function transfer(signal = new AbortController().signal): Transfer {
  return { signal, progressed: (part) => parts.push(part ?? Number.NaN) };
}

test("goes where the site said, and answers parsed JSON with its status", async () => {
  const posting = post();
  await Promise.resolve();
  expect(hub.lastUpload.url.href).toBe(
    "http://hub.test/v1/file/save?visitorId=v&websiteId=local&chatroomId=r",
  );
  hub.lastUpload.answer({ status: 201, body: { fileUrl: "u" } });
  expect(await posting).toEqual({ status: 201, data: { fileUrl: "u" } });
});

test("fails as axios does, with status and body", async () => {
  const posting = post();
  await Promise.resolve();
  hub.lastUpload.answer({ status: 413, body: { error: "Too large." } });
  const error = await posting.catch((it: unknown) => it);
  expect(error).toBeInstanceOf(RequestError);
  expect((error as RequestError).response).toEqual({ status: 413, data: { error: "Too large." } });
});

test("who watches a file hears how far it is, and nobody of other files", async () => {
  const chosen = file();
  watch(chosen, transfer());
  void post();
  void post(chosen);
  await Promise.resolve();
  const [other, watched] = hub.uploads;
  other?.progress(0.9);
  watched?.progress(0.25);
  watched?.progress(1);
  expect(parts).toEqual([0.25, 1]);
});

test("is stopped on demand, before it begins too", async () => {
  const ending = new AbortController();
  const [running, late] = [file(), file()];
  watch(running, transfer(ending.signal));
  watch(late, transfer(ending.signal));
  const stopped = expect(post(running)).rejects.toBeInstanceOf(UploadError);
  await Promise.resolve();
  ending.abort();
  await stopped;
  expect(hub.lastUpload.isOver).toBe(true);
  await expect(post(late)).rejects.toBeInstanceOf(UploadError);
  expect(hub.uploads).toHaveLength(1);
});

test("a lost line is an error without an answer", async () => {
  const posting = post();
  await Promise.resolve();
  hub.lastUpload.lose();
  const error = await posting.catch((it: unknown) => it);
  expect(error).toBeInstanceOf(UploadError);
  expect(error).not.toHaveProperty("response");
});

test("is given up when nothing goes out for half a minute, and not while it crawls", async () => {
  const stopped = expect(post()).rejects.toBeInstanceOf(UploadError);
  await vi.advanceTimersByTimeAsync(29_000);
  hub.lastUpload.progress(0.01);
  await vi.advanceTimersByTimeAsync(29_000);
  expect(hub.lastUpload.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(hub.lastUpload.isOver).toBe(true);
  await stopped;
});

test("is waited for when all has gone out", async () => {
  const stopped = expect(post()).rejects.toBeInstanceOf(UploadError);
  await Promise.resolve();
  hub.lastUpload.progress(1);
  await vi.advanceTimersByTimeAsync(119_000);
  expect(hub.lastUpload.isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1_000);
  await stopped;
});
