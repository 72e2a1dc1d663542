import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { Access } from "../site";
import { hearAlso } from "./callbacks";
import { LineError, RefusedError, START_TIMEOUT_MS } from "./chat";
import { DocumentedChat } from "./documented-chat";
import { MissingError } from "./hosted-errors";
import {
  findHub,
  hasSignOfLife,
  hearClosed,
  isHidden,
  isOpen,
  isShut,
  type PageHub,
  pageCore,
  untilThere,
} from "./page-widget";
import type { UploadedFile } from "./upload";
import type { Transfer } from "./upload-request";

const WIDGET_TIMEOUT_MS = 15_000;
const LOOK_AGAIN_MS = 15_000;
const POLL_MS = 100;
/** An upload may take this time, and that for each byte: 64 kB a second is a slow line. */
const UPLOAD_TIMEOUT_MS = 120_000;
const UPLOAD_MS_PER_BYTE = 1000 / (64 * 1024);

/** What the developer has been told about, once for each page. */
const hints = new Set<string>();

/**
 * A chat by the SDK object of the Chatix widget on the page.
 *
 * The connection, the visitor and what is stored of it are the widget's: it is never stopped, only our room is
 * joined and left, and the visitor's name is changed only when the reader posts under it.
 */
export class WidgetChat extends DocumentedChat {
  readonly isVisitorOfSite = false;
  readonly #going = new AbortController();
  #releases: (() => void)[] = [];
  /** The connection whose end is news for us; `null` also where the widget hides it. */
  #heard: PageHub | null = null;
  #endHearing: () => void = () => {};
  /** Whether the line is in use, as far as we know. */
  #isInUse = false;
  /** Ends what cannot go on without the line that is in use. */
  #line = new AbortController();
  /** Whether the widget has ended its connection on purpose: then it is not for us to start it. */
  #isStopped = false;

  /** Q1: what the SDK forgets when it posts a file can only be put right from inside. */
  override get takesFiles(): boolean {
    return this.sdk !== null && !isHidden(this.sdk);
  }

  /** Q16: the widget's upload may wait for ever, tells nobody how far it is, and cannot be stopped. */
  override async upload(file: File, transfer: Transfer): Promise<UploadedFile> {
    if (!this.takesFiles) throw new RefusedError("Files cannot be attached here.");
    transfer.progressed(null);
    const longestMs = UPLOAD_TIMEOUT_MS + file.size * UPLOAD_MS_PER_BYTE;
    return whileWanted(super.upload(file, transfer), [transfer.signal, this.#line.signal], longestMs);
  }

  isOf(): boolean {
    return true;
  }

  override get isConnected(): boolean {
    const hub = this.sdk && findHub(this.sdk);
    return hub ? isOpen(hub) : this.#isInUse;
  }

  /** What is left by its name is left on our hub; and a build may hide it. */
  override get connectionId(): null {
    return null;
  }

  override canRestart(access: Access): boolean {
    return this.isFor(access) && this.sdk !== null && pageCore() === this.sdk;
  }

  override async restart(access: Access): Promise<void> {
    this.access = access;
    await this.answered(this.connect(this.core), START_TIMEOUT_MS);
  }

  override depart(leave: boolean): void {
    super.depart(leave);
    this.#going.abort();
  }

  /** Nothing is closed, for it is not ours: the line is looked at anew before it is used again. */
  override async drop(): Promise<void> {
    this.#lose();
  }

  protected override async newCore(): Promise<ChatixCore> {
    try {
      return await untilThere(this.access.websiteId, this.#going.signal, WIDGET_TIMEOUT_MS);
    } catch (error) {
      if (error instanceof MissingError) hint(error.message);
      throw error;
    }
  }

  /** Wait for the widget's connection. Q5, Q9: one that the SDK has given up is started again. */
  protected override async connect(core: ChatixCore): Promise<void> {
    const hub = findHub(core);
    if (isHidden(core)) {
      if (!(await hasSignOfLife(core))) throw new LineError("The widget has no connection.", false);
    } else if (hub && this.#mayStart(hub)) await hub.start();
    else await this.#untilOpen(core);
    this.#use(core);
  }

  protected override listen(core: ChatixCore): void {
    for (const [name, handler] of Object.entries(this.handlers())) {
      this.#releases.push(hearAlso(core, name as keyof ChatixCore, handler));
    }
    this.#releases.push(
      hearAlso(core, "onConnected", () => this.#onStarted(core)),
      hearAlso(core, "onDisconnected", () => this.#onStopped(core)),
    );
    const timer = setInterval(() => void this.#lookAgain(core), LOOK_AGAIN_MS);
    this.#releases.push(() => clearInterval(timer));
  }

  /** The widget goes on without us. */
  protected override letGo(): void {
    this.#isInUse = false;
    this.#endHearing();
    for (const release of this.#releases) release();
    this.#releases = [];
  }

  protected override async wasRefused(): Promise<boolean> {
    return isHidden(this.core) ? hasSignOfLife(this.core) : this.isConnected;
  }

  #mayStart(hub: PageHub): boolean {
    return isShut(hub) && !this.#isStopped;
  }

  /** The SDK, or the widget, is about to connect. */
  async #untilOpen(core: ChatixCore): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (let hub = findHub(core); !hub || !isOpen(hub); hub = findHub(core)) {
      const isHopeless = (hub && this.#mayStart(hub)) || Date.now() >= deadline || this.isGone;
      if (isHopeless) throw new LineError("The widget has no connection.", false);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #use(core: ChatixCore): void {
    this.#endHearing();
    this.#heard = findHub(core);
    this.#endHearing = this.#heard ? hearClosed(this.#heard, () => this.#lose()) : () => {};
    this.#isInUse = true;
    this.#line = new AbortController();
  }

  #lose(): void {
    if (!this.#isInUse) return;
    this.#isInUse = false;
    this.#line.abort();
    this.listener.lineClosed();
  }

  /** The widget's `start()` has made another connection: it has joined nothing, and may be another visitor's. */
  #onStarted(core: ChatixCore): void {
    this.#isStopped = false;
    if (isHidden(core) || findHub(core) !== this.#heard) this.#lose();
  }

  #onStopped(core: ChatixCore): void {
    this.#isStopped = true;
    if (isHidden(core)) this.#lose();
  }

  /** Nobody tells that the widget was replaced, nor, where it hides its connection, that this has closed. */
  async #lookAgain(core: ChatixCore): Promise<void> {
    if (!this.#isInUse) return;
    const isThere = pageCore() === core && (!isHidden(core) || (await hasSignOfLife(core)));
    if (!isThere) this.#lose();
  }
}

/**
 * Wait for the answer until one of the signals comes, or the time is over; what was uploaded by then and is not posted
 * is for the service to drop. Whether to begin anew when it took too long is for the reader to say.
 */
async function whileWanted<T>(
  answer: Promise<T>,
  signals: readonly AbortSignal[],
  longestMs: number,
): Promise<T> {
  const done = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    const end = () => reject(new LineError("The upload was given up.", false));
    const timer = setTimeout(() => reject(new RefusedError("")), longestMs);
    done.signal.addEventListener("abort", () => clearTimeout(timer));
    for (const signal of signals) {
      if (signal.aborted) end();
      signal.addEventListener("abort", end, { signal: done.signal });
    }
  });
  try {
    return await Promise.race([answer, ended]);
  } finally {
    done.abort();
  }
}

function hint(problem: string): void {
  if (hints.has(problem)) return;
  hints.add(problem);
  // biome-ignore lint/suspicious/noConsole: it is the site's developer who has to know
  console.warn(
    `flask-chatix-comments: CHATIX_SDK is "widget", but ${problem}. The comments come alive when that changes. ` +
      'Set CHATIX_SDK to "bundled" if pages are to have comments without the Chatix widget.',
  );
}
