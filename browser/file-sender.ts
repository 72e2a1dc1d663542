/** Bring a chosen file into the thread: upload it once, then post it, as often as that takes. */

import { type Chat, LineError, RefusedError } from "./sdk/chat";
import { postingOf } from "./sdk/posting";
import type { UploadedFile } from "./sdk/upload";
import type { ThreadMessage } from "./thread-state";

/** So often an upload may break before the reader is asked; a proxy that cuts large bodies off breaks each. */
const MOST_TRIES = 3;

export class FileSender {
  readonly #progressed: (file: File, part: number | null) => void;
  readonly #uploaded = new WeakMap<File, UploadedFile>();
  readonly #failures = new WeakMap<File, number>();
  #running: AbortController | null = null;

  /** @param progressed Hears which part of a file is with the service, from 0 to 1; `null` where nobody can tell. */
  constructor(progressed: (file: File, part: number | null) => void) {
    this.#progressed = progressed;
  }

  /**
   * Upload the file unless it is there already, and post it.
   *
   * Rejects as the chat's calls do.
   *
   * @param liveChat The chat by then: an upload may outlive the line on which it began.
   * @param signal Says that the file must not be posted; whatever comes after it, it is not.
   */
  async send(file: File, liveChat: () => Chat, signal: AbortSignal): Promise<ThreadMessage> {
    // Also after a refusal: the message may have been stored before, and the address tells that it is the same.
    const uploaded = this.#uploaded.get(file) ?? (await this.#upload(file, liveChat(), signal));
    this.#uploaded.set(file, uploaded);
    signal.throwIfAborted();
    return postingOf(liveChat()).sendUploaded(uploaded);
  }

  /** Where the file is on the service; `null` until it is there. */
  urlOf(file: File): string | null {
    return this.#uploaded.get(file)?.url ?? null;
  }

  /** Stop what is being uploaded; it may be sent again. */
  stop(): void {
    this.#running?.abort();
  }

  async #upload(file: File, chat: Chat, signal: AbortSignal): Promise<UploadedFile> {
    const ending = new AbortController();
    const end = () => ending.abort();
    const progressed = (part: number | null) => this.#progressed(file, part);
    this.#running = ending;
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      return await postingOf(chat).upload(file, { signal: ending.signal, progressed });
    } catch (error) {
      throw ending.signal.aborted ? error : this.#counted(file, error);
    } finally {
      signal.removeEventListener("abort", end);
      this.#running = null;
    }
  }

  #counted(file: File, error: unknown): unknown {
    const failures = (this.#failures.get(file) ?? 0) + 1;
    const isEnough = error instanceof LineError && failures >= MOST_TRIES;
    this.#failures.set(file, isEnough ? 0 : failures);
    return isEnough ? new RefusedError("") : error;
  }
}
