/** An upload as `XMLHttpRequest` makes it, answered by the hub of the running test, or by the test itself. */

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface UploadTarget {
  /** Takes note of an upload that begins; `null` leaves the answer to the test. */
  beginUpload(upload: FakeUpload): Answer | null;
}

export class FakeUpload extends EventTarget {
  /** The hub of the running test. */
  static target: UploadTarget;

  readonly upload = new EventTarget();
  url = new URL("about:blank");
  status = 0;
  responseText = "";
  file = new File([], "");
  isOver = false;

  open(method: string, url: string): void {
    if (method !== "POST") throw new Error(method);
    this.url = new URL(url);
  }

  send(body: FormData): void {
    const file = body.get("formFile");
    if (!(file instanceof File)) throw new Error("formFile is missing");
    this.file = file;
    queueMicrotask(() => {
      const answer = this.isOver ? null : FakeUpload.target.beginUpload(this);
      if (answer) this.answer(answer);
    });
  }

  abort(): void {
    this.#end("abort");
  }

  /** Say that so much of the file has gone out. */
  progress(part: number): void {
    const size = this.file.size;
    this.upload.dispatchEvent(new ProgressEvent("progress", { loaded: part * size, total: size }));
  }

  answer({ status, body }: Answer): void {
    this.status = status;
    this.responseText = typeof body === "string" ? body : JSON.stringify(body);
    this.#end("load");
  }

  /** End it as a lost network does. */
  lose(): void {
    this.#end("error");
  }

  #end(type: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.dispatchEvent(new Event(type));
  }
}
