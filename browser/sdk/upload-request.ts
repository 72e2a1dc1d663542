/**
 * Send a form with a file in it, and tell whoever watches that file how far it is.
 *
 * The SDK hands over neither progress nor a way to stop. But the file that it is given is the one that it puts
 * into the form, and so the watcher is found by the file. `fetch` does not report the progress of a body.
 */

/** So long without a byte going out, and the line counts as dead. */
const STALLED_AFTER_MS = 30_000;
/** So long after the last byte: large images take a while, and wait for each other. */
const UNANSWERED_AFTER_MS = 120_000;

/** The form was not sent to its end, or not answered. */
export class UploadError extends Error {
  override readonly name = "UploadError";
}

export interface Transfer {
  /** Stops the upload. */
  readonly signal: AbortSignal;
  /** Hears which part has gone out, from 0 to 1; `null` where nobody can tell. */
  progressed(part: number | null): void;
}

const transfers = new WeakMap<object, Transfer>();

/** Let `transfer` watch the next uploads of this file. */
export function watch(file: File, transfer: Transfer): void {
  transfers.set(file, transfer);
}

/** Rejects with UploadError when there is no answer, whatever its status. */
export async function upload(url: string, body: FormData): Promise<{ status: number; text: string }> {
  const transfer = transferOf(body);
  const request = new XMLHttpRequest();
  let stalled: ReturnType<typeof setTimeout> | undefined;
  const stop = () => request.abort();
  const wait = (longestMs: number) => {
    clearTimeout(stalled);
    stalled = setTimeout(stop, longestMs);
  };
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    wait(loaded < total ? STALLED_AFTER_MS : UNANSWERED_AFTER_MS);
    transfer?.progressed(total ? loaded / total : 0);
  });
  transfer?.signal.addEventListener("abort", stop);
  try {
    const answered = settled(request);
    request.open("POST", url);
    request.send(body);
    wait(STALLED_AFTER_MS);
    if (transfer?.signal.aborted) stop();
    await answered;
    return { status: request.status, text: request.responseText };
  } finally {
    clearTimeout(stalled);
    transfer?.signal.removeEventListener("abort", stop);
  }
}

function settled(request: XMLHttpRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => resolve());
    for (const type of ["error", "abort"])
      request.addEventListener(type, () => reject(new UploadError("The upload was not finished.")));
  });
}

function transferOf(body: FormData): Transfer | undefined {
  for (const value of body.values()) {
    const transfer = typeof value === "object" ? transfers.get(value) : undefined;
    if (transfer) return transfer;
  }
  return undefined;
}
