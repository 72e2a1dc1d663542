/** Bring a chosen file into the thread: upload it once, then post it, as often as that takes. */

import { type Chat, LineError, RefusedError } from "./sdk/chat";
import type { UploadedFile } from "./sdk/upload";
import type { ThreadMessage } from "./thread-state";

/** So often an upload may break before the reader is asked; a proxy that cuts large bodies off breaks each. */
const MOST_TRIES = 3;

export class FileSender {
  readonly #progressed: (file: File, part: number) => void;
  readonly #uploaded = new WeakMap<File, UploadedFile>();
  readonly #failures = new WeakMap<File, number>();
  #running: { readonly file: File; readonly ending: AbortController } | null = null;

  /** @param progressed Hears which part of a file is with the service, from 0 to 1. */
  constructor(progressed: (file: File, part: number) => void) {
    this.#progressed = progressed;
  }

  /**
   * Upload the file unless it is there already, and post it.
   *
   * Rejects as the chat's calls do.
   *
   * @param liveChat The chat by then: an upload may outlive the line on which it began.
   */
  async send(file: File, liveChat: () => Chat): Promise<ThreadMessage> {
    // Also after a refusal: the message may have been stored before, and the address tells that it is the same.
    const uploaded = this.#uploaded.get(file) ?? (await this.#upload(file, liveChat()));
    this.#uploaded.set(file, uploaded);
    return liveChat().sendUploaded(uploaded);
  }

  /** Where the file is on the service; `null` until it is there. */
  urlOf(file: File): string | null {
    return this.#uploaded.get(file)?.url ?? null;
  }

  /** Stop uploading, if it is this file that is being uploaded; by default whichever it is. */
  stop(file = this.#running?.file): void {
    if (this.#running?.file === file) this.#running?.ending.abort();
  }

  async #upload(file: File, chat: Chat): Promise<UploadedFile> {
    const ending = new AbortController();
    const progressed = (part: number) => this.#progressed(file, part);
    const running = { file, ending };
    this.#running = running;
    try {
      return await chat.upload(file, { signal: ending.signal, progressed });
    } catch (error) {
      throw ending.signal.aborted ? error : this.#counted(file, error);
    } finally {
      // By then it may be the next one.
      if (this.#running === running) this.#running = null;
    }
  }

  #counted(file: File, error: unknown): unknown {
    const failures = (this.#failures.get(file) ?? 0) + 1;
    const isEnough = error instanceof LineError && failures >= MOST_TRIES;
    this.#failures.set(file, isEnough ? 0 : failures);
    return isEnough ? new RefusedError("") : error;
  }
}
