/**
 * The SDK object of the Chatix widget on the page: where it is, whether it can be used, whether it is connected.
 *
 * It is the widget's. It is looked at, listened to and called, but never started, stopped or configured.
 */

import type ChatixCore from "chatix-core/src/js/chatixcore.js";
import { MissingError } from "./hosted-errors";

/** What of the SDK's documented calls the section cannot do without; 0.1.x has not all of them. */
const NEEDED_CALLS = [
  "getVisitor",
  "setName",
  "getMember",
  "connectToChatroom",
  "disconnectFromChatroom",
  "getChatroomMessages",
  "sendChatroomTextMessage",
] as const satisfies readonly (keyof ChatixCore)[];

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const SIGN_OF_LIFE_TIMEOUT_MS = 5_000;

/** What we use of the SignalR connection inside: of `@aspnet/signalr` 1.1.4, or of a newer client. */
export interface PageHub {
  readonly state: unknown;
  readonly connection?: { readonly connectionState?: unknown };
  start(): Promise<void>;
  onclose(callback: () => void): void;
}

/** An SDK object that can be used; or what is wrong, as the end of a sentence. */
export type Look =
  | { readonly core: ChatixCore; readonly problem: null }
  | { readonly core: null; readonly problem: string };

/** Look at the page as it is now. */
export function lookForCore(websiteId: string): Look {
  const core = pageCore();
  const problem = problemOf(core, websiteId);
  return problem === null ? { core: core as ChatixCore, problem } : { core: null, problem };
}

/** Return what the page has for `chatixWidget.core` now. */
export function pageCore(): unknown {
  try {
    return (window as { chatixWidget?: { core?: unknown } }).chatixWidget?.core;
  } catch {
    return undefined;
  }
}

function problemOf(core: unknown, websiteId: string): string | null {
  if (typeof core !== "object" || core === null) return "this page has no chatixWidget.core";
  const calls = core as Partial<ChatixCore>;
  const missing = NEEDED_CALLS.filter((name) => typeof calls[name] !== "function");
  if (missing.length) return `chatixWidget.core is of a version without ${missing.join(", ")}`;
  if (Object.isSealed(core)) return "chatixWidget.core is of a version that cannot be listened to";
  const theirs = calls.chat?.websiteId;
  if (theirs && String(theirs) !== websiteId) return "chatixWidget.core is of another CHATIX_WEBSITE_ID";
  return null;
}

/**
 * Return the usable, started SDK object of the page, waiting for it as long as it takes.
 *
 * A widget's script may come before or after ours, and may itself load others; so this looks again when a
 * script has loaded, and else after pauses that grow.
 *
 * @throws MissingError After `timeoutMs`; it tells how to go on waiting.
 */
export async function untilThere(
  websiteId: string,
  signal: AbortSignal,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<ChatixCore> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const look = lookForCore(websiteId);
    if (look.core && (await hasStarted(look.core))) return look.core;
    signal.throwIfAborted();
    if (Date.now() >= deadline) {
      const problem = look.problem ?? "nobody has called chatixWidget.core.start()";
      throw new MissingError(problem, async (until) => void (await untilThere(websiteId, until)));
    }
    await pauseOrScript(Math.min(pauseMs, deadline - Date.now()), signal);
  }
}

function pauseOrScript(pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      // Of what loads in the page, events come by on their way down only.
      document.removeEventListener("load", done, true);
      resolve();
    };
    const timer = setTimeout(done, pauseMs);
    signal.addEventListener("abort", done);
    document.addEventListener("load", done, true);
  });
}

/** Whether the widget has called `start()`, whatever came of it. */
async function hasStarted(core: ChatixCore): Promise<boolean> {
  return findHub(core) !== null || (isHidden(core) && (await hasSignOfLife(core)));
}

/** Return the SignalR connection inside; `null` before the start, and where a build of the widget hides it. */
export function findHub(core: ChatixCore): PageHub | null {
  const hub: Partial<PageHub> | undefined = core.chat?.connection?.hubConnection;
  const isHub = typeof hub?.start === "function" && typeof hub.onclose === "function";
  return isHub ? (hub as PageHub) : null;
}

/** Whether a build of the widget hides what is inside; then the documented calls have to do. */
export const isHidden = (core: ChatixCore): boolean => !core.chat?.connection;

/** The old client has numbers for its states, the new one has words. */
export const isOpen = (hub: PageHub): boolean => hub.state === 1 || hub.state === "Connected";

/** Whether a connection may be started. Q5, Q8: one that is up or coming up must not be: that would end it. */
export const isShut = (hub: PageHub): boolean =>
  (hub.state === 0 || hub.state === "Disconnected") &&
  (hub.connection?.connectionState === undefined || hub.connection.connectionState === 2);

/** Whether a widget that hides its connection has one: by a call that is cheap, a list of one room. */
export async function hasSignOfLife(core: ChatixCore): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), SIGN_OF_LIFE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([silence, listRooms(core, 1, 1).then(() => true)]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Q25: the vendor's page has one name for it, the published SDK another; either may answer with an envelope. */
export async function listRooms(core: ChatixCore, page: number, perPage: number): Promise<unknown[]> {
  const list = core.getAllChatrooms ?? core.getChatrooms;
  if (!list) throw new Error("This SDK lists no chatrooms.");
  const answer = await list.call(core, page, perPage);
  return Array.isArray(answer) ? answer : (answer?.items ?? []);
}

const ears = new WeakMap<PageHub, Set<() => void>>();

/** Call `callback` whenever the connection closes; what its owner has registered stays. Returns how to end it. */
export function hearClosed(hub: PageHub, callback: () => void): () => void {
  const known = ears.get(hub);
  const callbacks = known ?? new Set();
  if (!known) {
    ears.set(hub, callbacks);
    // Nothing can be taken off again there: one for all, for as long as the connection lives.
    hub.onclose(() => {
      for (const each of [...callbacks]) each();
    });
  }
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}
