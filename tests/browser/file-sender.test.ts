import { expect, test, vi } from "vitest";
import { FileSender } from "../../browser/file-sender";
import { type Chat, LineError, RefusedError } from "../../browser/sdk/chat";
import type { UploadedFile } from "../../browser/sdk/upload";
import type { Transfer } from "../../browser/sdk/upload-request";

const file = new File(["x"], "a.txt");
const uploaded = { url: "/files/a" } as UploadedFile;

/** A chat whose uploads end when the test says so, whatever the signal says. */
function slowChat() {
  const transfers: Transfer[] = [];
  const answers: { resolve(it: UploadedFile): void; reject(error: unknown): void }[] = [];
  const upload = vi.fn((_: File, transfer: Transfer) => {
    transfers.push(transfer);
    return new Promise<UploadedFile>((resolve, reject) => answers.push({ resolve, reject }));
  });
  const sendUploaded = vi.fn(async () => ({ id: "m1" }));
  const chat = { upload, sendUploaded } as unknown as Chat;
  return { chat, upload, sendUploaded, transfers, answers };
}

test("what is not wanted any more is not posted, though the upload came to a good end", async () => {
  const { chat, sendUploaded, transfers, answers } = slowChat();
  const ending = new AbortController();
  const sender = new FileSender(() => {});
  const sending = sender.send(file, () => chat, ending.signal);
  ending.abort();
  expect(transfers[0]?.signal.aborted).toBe(true);
  answers[0]?.resolve(uploaded);
  await expect(sending).rejects.toMatchObject({ name: "AbortError" });
  expect(sendUploaded).not.toHaveBeenCalled();

  // Wanted after all: it is there.
  await sender.send(file, () => chat, new AbortController().signal);
  expect(sendUploaded.mock.calls).toEqual([[uploaded]]);
});

test("what was not wanted before it began is told so to the chat", async () => {
  const { chat, transfers, answers } = slowChat();
  const sending = new FileSender(() => {}).send(file, () => chat, AbortSignal.abort());
  expect(transfers[0]?.signal.aborted).toBe(true);
  answers[0]?.reject(new LineError("The file is not wanted any more.", false));
  await expect(sending).rejects.toBeInstanceOf(LineError);
});

test("to stop is no failure of the file", async () => {
  const { chat, transfers, answers } = slowChat();
  const sender = new FileSender(() => {});
  const attempt = async (stops: boolean) => {
    const sending = sender.send(file, () => chat, new AbortController().signal);
    if (stops) sender.stop();
    expect(transfers.at(-1)?.signal.aborted).toBe(stops);
    answers.at(-1)?.reject(new LineError("The upload was not finished.", false));
    return sending.catch((error: unknown) => error);
  };
  for (const stops of [true, true, true, false, false]) {
    expect(await attempt(stops)).toBeInstanceOf(LineError);
  }
  expect(await attempt(false)).toBeInstanceOf(RefusedError);
  sender.stop();
});
