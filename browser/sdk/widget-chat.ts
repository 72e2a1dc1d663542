import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import type { Access } from "../site";
import { hearAlso } from "./callbacks";
import { LineError, MissingError, RefusedError, START_TIMEOUT_MS } from "./chat";
import { DocumentedChat } from "./documented-chat";
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
import type { Transfer } from "./shims/upload";
import type { UploadedFile } from "./upload";

const WIDGET_TIMEOUT_MS = 15_000;
const LOOK_AGAIN_MS = 15_000;
const POLL_MS = 100;

/** What the developer has been told about, once for each page. */
const hints = new Set<string>();

/**
 * A chat by the SDK object of the Chatix widget on the page.
 *
 * The connection, the visitor and what is stored of it are the widget's: it is never stopped, only our room is
 * joined and left, and the visitor's name is changed only when the reader posts under it.
 */
export class WidgetChat extends DocumentedChat {
  override readonly isVisitorOfSite = false;
  readonly #going = new AbortController();
  #releases: (() => void)[] = [];
  /** The connection whose end is news for us; `null` also where the widget hides it. */
  #heard: PageHub | null = null;
  #endHearing: () => void = () => {};
  /** Whether the line is in use, as far as we know. */
  #isInUse = false;
  /** Whether the widget has ended its connection on purpose: then it is not for us to start it. */
  #isStopped = false;

  /** Q1: what the SDK forgets when it posts a file can only be put right from inside. */
  override async upload(file: File, transfer: Transfer): Promise<UploadedFile> {
    if (isHidden(this.core)) throw new RefusedError("Files cannot be attached here.");
    return unlessAborted(super.upload(file, transfer), transfer.signal);
  }

  /** The widget's uploads tell nobody how far they are, and cannot be stopped: they are only not waited for. */
  protected override async watch(): Promise<void> {}

  override isOf(): boolean {
    return true;
  }

  override get isConnected(): boolean {
    const hub = this.sdk && findHub(this.sdk);
    return hub ? isOpen(hub) : this.#isInUse;
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
  }

  #lose(): void {
    if (!this.#isInUse) return;
    this.#isInUse = false;
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

/** The service drops what was uploaded and not posted. */
async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new LineError("The file is not wanted any more.", false));
  });
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
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
