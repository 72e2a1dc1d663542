/** What the reader has posted, on its way from the form to the thread; and what becomes of it there. */

import { changerOf, LOOK_AGAIN_MS, liveChatOf } from "./changer";
import type { CommentForm } from "./comment-form";
import type { Viewer } from "./comment-rights";
import { CommentTools } from "./comment-tools";
import { Composer } from "./composer";
import { FileSender } from "./file-sender";
import { type Limits, limitsFrom } from "./limits";
import { Outbox, type Outcome, type Pending } from "./outbox";
import { faultOf, isOfTheComment } from "./posting-trouble";
import { type Chat, LineError } from "./sdk/chat";
import { postingOf } from "./sdk/posting";
import { type Access, type Admission, type SaidLimits, SiteError, type Visitor } from "./site";
import { TextKeeper } from "./text-keeper";
import type { ThreadMessage, ThreadState } from "./thread-state";
import type { ArticleTools } from "./thread-view";

/** How an attempt ends of which nobody wants to hear any more. */
const UNWANTED: Outcome = { kind: "refused", error: null, isOfItsOwn: true };

/** What a delivery needs of the section. */
export interface Desk {
  /** The chat while it is joined and caught up. */
  liveChat(): Chat | null;
  visitor(): Visitor | null;
  state(): ThreadState;
  /** Have the site admit the guest under this name, on this chat's connection. */
  takePart(name: string, chat: Chat): Promise<Admission>;
  /** This is in the thread. */
  posted(message: ThreadMessage): void;
  /** This has changed. */
  edited(message: ThreadMessage): void;
  /** This has gone from the thread. */
  removed(id: string): void;
  /** Have this put under the comments. */
  equip(tools: ArticleTools): void;
}

/** Whoever looks at the thread, and what the site allows. */
export type Onlooker = Omit<Viewer, keyof Limits> & { readonly limits: SaidLimits };

export class Delivery {
  readonly #desk: Desk;
  readonly #composer: Composer;
  readonly #outbox: Outbox;
  readonly #files: FileSender;
  readonly #keeper: TextKeeper;
  readonly #tools: CommentTools;
  /** The name under which the site has admitted this page's guest. */
  #tookPartAs: string | null = null;
  /** Comments that were in the thread when the pending one was first sent: none of them is that one. */
  #knownBefore: ReadonlySet<string> = new Set();

  constructor(desk: Desk, form: CommentForm) {
    this.#desk = desk;
    const composer = new Composer(
      form,
      (draft) => void this.#outbox.submit(draft),
      (file) => this.#outbox.withdraw(file),
    );
    this.#composer = composer;
    this.#files = new FileSender((file, part) => composer.showProgress(file, part));
    this.#outbox = new Outbox((pending, signal) => this.#deliver(pending, signal), {
      changed: (state) => {
        composer.show(state);
        this.#keeper.follow(state);
      },
      acknowledged: (item) => composer.clear(item),
      refused: (item, error) => {
        composer.fail(...faultOf(item, error));
        if (item.file) composer.offerAgain(item.file);
      },
    });
    this.#keeper = new TextKeeper(composer, {
      adopted: (item, twins) => {
        this.#knownBefore = new Set(twins);
        this.#outbox.adopt(item);
        this.settle();
      },
      taken: (clientKey) => this.#giveUp(clientKey),
    });
    this.#tools = new CommentTools(changerOf(desk, () => this.settle()));
    desk.equip(this.#tools);
  }

  /** Whether something is on its way, or waits for the line. */
  get isAtWork(): boolean {
    return this.#outbox.items.length > 0;
  }

  /** Whether there is something in the form that the reader would miss. */
  get hasContent(): boolean {
    return this.#composer.hasContent;
  }

  /**
   * Take up what was done before this was there.
   *
   * @param isPosted Whether the reader has posted it already.
   */
  begin(isPosted: boolean): void {
    this.#composer.takeChosen();
    if (isPosted) this.#composer.submit();
    else this.#keeper.keepDraft();
  }

  /** Put under the comments what this viewer may do with them. */
  equip(viewer: Onlooker): void {
    this.#tools.viewer = { ...viewer, ...limitsFrom(viewer.limits) };
  }

  withdrawWhispers(): void {
    this.#outbox.withdrawWhispers();
  }

  /** There is nothing to post to: the reader gets back what waits. */
  giveBack(error: unknown): void {
    void this.#outbox.giveBack(error);
  }

  /** The site lets us in: bring back what this visitor has written there before. */
  open(access: Access, visitor: Visitor): void {
    this.#keeper.open(access, visitor);
  }

  /** Go on after `stop`. */
  start(): void {
    void this.#keeper.reclaim();
  }

  stop(): void {
    this.#tools.stop();
    this.#files.stop();
    this.#keeper.letGo();
  }

  #giveUp(clientKey: string): void {
    const item = this.#outbox.items.find((it) => it.clientKey === clientKey);
    if (!item) return;
    this.#composer.clear(item);
    this.#outbox.withdrawItem(item);
  }

  /** While there is a line, send what waits, or find out what became of it. */
  settle(): void {
    const chat = this.#desk.liveChat();
    const { waiting } = this.#outbox;
    if (!chat) return;
    this.#tools.resume();
    if (!waiting) void this.#keeper.restore();
    else if (chat.isGapProof || !waiting.mayHaveArrived) void this.#outbox.retry();
    else if (this.#hasArrived(waiting, chat)) void this.#outbox.acknowledge();
    else void this.#outbox.giveBack(null, waiting.file !== null);
  }

  #hasArrived(pending: Pending, chat: Chat): boolean {
    const url = pending.file && this.#files.urlOf(pending.file);
    const isSame = ({ text, file }: ThreadMessage) => (url ? file?.url === url : text === pending.text);
    return this.#desk
      .state()
      .messages.some(
        (message) =>
          message.senderId === chat.selfId && isSame(message) && !this.#knownBefore.has(message.id),
      );
  }

  async #deliver(pending: Pending, signal: AbortSignal): Promise<Outcome> {
    if (!pending.mayHaveArrived) this.#note(pending);
    try {
      await this.#announce(liveChatOf(this.#desk), pending.name);
      // The site may have taken its time: is it still to be posted, and what is the line by now?
      signal.throwIfAborted();
      this.#desk.posted(await this.#send(pending, signal));
      return { kind: "acknowledged" };
    } catch (error) {
      return signal.aborted ? UNWANTED : this.#outcomeOf(error, pending);
    }
  }

  #note(pending: Pending): void {
    const { messages } = this.#desk.state();
    this.#knownBefore = new Set(messages.map(({ id }) => id));
    const twins = messages.filter(({ text }) => text === pending.text).map(({ id }) => id);
    this.#keeper.attempting(pending, twins);
  }

  #send({ text, file, isWhisper, clientKey }: Pending, signal: AbortSignal): Promise<ThreadMessage> {
    if (file) return this.#files.send(file, () => liveChatOf(this.#desk), signal);
    const posting = postingOf(liveChatOf(this.#desk));
    return isWhisper ? posting.whisper(text, clientKey) : posting.send(text, clientKey);
  }

  #outcomeOf(error: unknown, { file }: Pending): Outcome {
    const mayPass = error instanceof LineError || (error instanceof SiteError && error.mayPass);
    // What the hub says of one file need not hold for the next; what the site says of a name does.
    if (!mayPass) return { kind: "refused", error, isOfItsOwn: file !== null && isOfTheComment(error) };
    // Usually the next line settles it; but this one may be up by then, or have been up all the time.
    const delayMs = error instanceof SiteError ? (error.retryAfterMs ?? LOOK_AGAIN_MS) : LOOK_AGAIN_MS;
    setTimeout(() => this.settle(), delayMs);
    return { kind: "interrupted", mayHaveArrived: error instanceof LineError && error.mayHaveArrived };
  }

  /** Let the others know who writes: by the site, and by the SDK where the site has no say. */
  async #announce(chat: Chat, newName: string | null): Promise<void> {
    const posting = postingOf(chat);
    const visitor = this.#desk.visitor();
    const isKnown = newName === visitor?.name && visitor?.isPersistent;
    // To a site whose cookies the browser does not keep one is nobody again: to ask once more would not help.
    if (newName !== null && newName !== this.#tookPartAs && !isKnown && posting.isVisitorOfSite) {
      const admission = await this.#desk.takePart(newName, chat);
      this.#tookPartAs = newName;
      if (!posting.isOf(admission)) await becomeAnother(chat);
    }
    const name = newName ?? this.#desk.visitor()?.name;
    if (name) await posting.announce(name);
  }
}

/** This browser is another visitor now, on this page too: another tab has taken part, or this one on the service. */
async function becomeAnother(chat: Chat): Promise<never> {
  await chat.leave().catch(() => {});
  await chat.drop();
  throw new LineError("The connection is that of another visitor.", false);
}
