/** Talk to the site's own views: join a post's chatroom, take part under a name, leave. */

export interface Visitor {
  /** Public id; `null` where the chat service makes it (hosted mode). */
  readonly id: string | null;
  readonly name: string | null;
  readonly isManager: boolean;
  readonly isSignedIn: boolean;
  /** Whether the site knows this visitor again: signed in, or has taken part. */
  readonly isPersistent: boolean;
}

/** Limits as the site says them (views.py); what only writers need of them is read by limits.ts. */
export interface SaidLimits {
  /** The SDK accepts pages of 1 to 100 (connection.js:getChatroomHistory). */
  readonly page_size?: number;
  /** How many files fit into one comment. */
  readonly files?: number;
  readonly [name: string]: unknown;
}

export type SdkSource = "bundled" | "widget";

/** All that is needed to reach a chatroom. */
export interface Access {
  readonly mode: "hub" | "hosted";
  /** Whose SDK object leads to the hosted service: ours, or that of the Chatix widget on the page. */
  readonly sdk: SdkSource;
  readonly isClosed: boolean;
  /** Whether only those are let in whom the site has let in. */
  readonly isPrivate: boolean;
  readonly websiteId: string;
  readonly apiUrl: string;
  readonly chatroomId: string;
  /**
   * What the SDK takes for the visitor's id: on our hub a ticket, on the hosted service the id itself; `null`
   * where the SDK has one of its own. It is a secret of this visitor.
   */
  readonly ticket: string | null;
  readonly visitor: Visitor;
  readonly limits: SaidLimits;
}

/** Name the chatroom as no other one is named that this browser may know. */
export const placeOf = ({ mode, websiteId, chatroomId }: Access): string =>
  `${mode}:${websiteId}:${chatroomId}`;

/** Who has taken part, and what the SDK now takes for the id. */
export interface Admission {
  readonly visitor: Visitor;
  readonly ticket: string | null;
}

/** A page's interest in a chatroom, to be withdrawn. */
export interface Leave {
  readonly chatroomId: string;
  /** `null` on the hosted service, where a leave is one for all tabs. */
  readonly connectionId: string | null;
}

export type SiteErrorKind =
  | "unreachable"
  | "unavailable"
  | "preparing"
  | "gone"
  | "refused"
  | "bad-name"
  | "no-room"
  | "not-set-up";

/** The site did not do what was asked; all but those in `LASTING` may pass by themselves. The message is the site's own. */
export class SiteError extends Error {
  override readonly name = "SiteError";
  readonly kind: SiteErrorKind;
  /** When the site wants to be asked again; `null` when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(kind: SiteErrorKind, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }

  get mayPass(): boolean {
    return !LASTING.has(this.kind);
  }
}

const LASTING: ReadonlySet<SiteErrorKind> = new Set(["refused", "bad-name", "no-room", "not-set-up"]);
const TIMEOUT_MS = 15_000;

// biome-ignore lint/suspicious/noExplicitAny: what came over the line is checked field by field
type Json = Record<string, any>;

/**
 * Tickets by endpoint, for as long as the page lives: several sections, and sections that are removed and put
 * back, are one visitor. They are never stored.
 */
const tickets = new Map<string, string>();

export class Site {
  readonly #endpoint: string;
  readonly #post: string;
  #isTicketRefused = false;
  #wasNotLetIn = false;

  /**
   * @param endpoint Where the views are, for example `/chatix-comments`.
   * @param post The signed post token of the page.
   */
  constructor(endpoint: string, post: string) {
    this.#endpoint = endpoint.replace(/\/+$/, "");
    this.#post = post;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  /** Ask for the post's chatroom and a fresh ticket for the same visitor. */
  async join(signal: AbortSignal): Promise<Access> {
    const body = {
      ...(this.#isTicketRefused && { is_refused: true }),
      ...(this.#wasNotLetIn && { was_refused: true }),
    };
    const answer = await this.#ask("join", body, signal);
    this.#wasNotLetIn = false;
    if (answer.state === "preparing") {
      throw new SiteError("preparing", "", toMs(answer.retry_after_s) ?? 1000);
    }
    if (answer.state === "gone") {
      throw new SiteError("gone", "", toMs(answer.retry_after_s));
    }
    if (typeof answer.chatroom_id !== "string" || typeof answer.api_url !== "string") throw nonsense();
    this.#isTicketRefused = false;
    this.#keep(answer.ticket);
    return {
      mode: answer.mode === "hosted" ? "hosted" : "hub",
      sdk: sdkFrom(answer.sdk),
      isClosed: answer.state === "closed",
      isPrivate: answer.is_private === true,
      websiteId: String(answer.website_id),
      apiUrl: absolute(answer.api_url),
      chatroomId: answer.chatroom_id,
      ticket: textOrNull(answer.ticket),
      visitor: visitorFrom(answer.visitor),
      limits: answer.limits ?? {},
    };
  }

  /** Take part as a guest of this name; from then on the site knows this visitor again. */
  async takePart(name: string, signal: AbortSignal): Promise<Admission> {
    const answer = await this.#ask("take-part", { name }, signal);
    this.#keep(answer.ticket);
    return { visitor: visitorFrom(answer.visitor), ticket: textOrNull(answer.ticket) };
  }

  /** The chat service did not accept the ticket of the last answer: the next `join` asks for another. */
  refuseTicket(): void {
    this.#isTicketRefused = true;
  }

  /** The chat service did not let us into the chatroom: the next `join` has the site look what has become of it. */
  noteNotLetIn(): void {
    this.#wasNotLetIn = true;
  }

  /** Have the site withdraw what this page's connection joined: a beacon, which outlives the page. */
  leave(leaves: readonly Leave[]): void {
    const body = leavesBody(tickets.get(this.#endpoint) ?? null, leaves);
    navigator.sendBeacon(`${this.#endpoint}/leave`, new Blob([body], { type: "application/json" }));
  }

  #keep(ticket: unknown): void {
    if (typeof ticket === "string") tickets.set(this.#endpoint, ticket);
    else tickets.delete(this.#endpoint);
  }

  async #ask(view: string, body: Json, signal: AbortSignal): Promise<Json> {
    const ticket = tickets.get(this.#endpoint) ?? null;
    const text = JSON.stringify({ post: this.#post, ticket, ...body });
    try {
      return await post(`${this.#endpoint}/${view}`, text, read, { timeoutMs: TIMEOUT_MS, signal });
    } catch (error) {
      if (error instanceof SiteError) throw error;
      throw new SiteError("unreachable", "");
    }
  }
}

interface PostOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Whether the request outlives the page. */
  readonly keepalive?: boolean;
}

/** Post JSON and read the answer, within a time for both. */
export async function post<T>(
  url: string,
  body: string,
  readAnswer: (answer: Response) => T | Promise<T>,
  { timeoutMs, signal, keepalive = false }: PostOptions,
): Promise<T> {
  const ending = new AbortController();
  const abort = () => ending.abort();
  const timer = setTimeout(abort, timeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, body, keepalive, signal: ending.signal });
    return await readAnswer(answer);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export function leavesBody(ticket: string | null, leaves: readonly Leave[]): string {
  const rows = leaves.map((leave) => ({ chatroom_id: leave.chatroomId, connection_id: leave.connectionId }));
  return JSON.stringify({ ticket, leaves: rows });
}

async function read(answer: Response): Promise<Json> {
  const body = await parse(answer);
  if (answer.ok && body) return body;
  const message = typeof body?.message === "string" ? body.message : "";
  const retryAfterMs = toMs(body?.retry_after_s) ?? toMs(answer.headers.get("Retry-After"));
  if (body?.error === "no_hub") throw new SiteError("not-set-up", message);
  if (body?.error === "no_room") throw new SiteError("no-room", message);
  if (answer.status === 422) throw new SiteError("bad-name", message);
  if (isFinal(answer.status)) throw new SiteError("refused", message);
  throw new SiteError("unavailable", message, retryAfterMs);
}

/** 4xx says that asking again is useless, except where the status itself says "later". */
export const isFinal = (status: number) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);

/** Return the JSON object of an answer; `null` for anything else, such as a proxy's page of HTML. */
async function parse(answer: Response): Promise<Json | null> {
  const text = await answer.text();
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : null;
  } catch {
    return null;
  }
}

/** A hub in one application with the site is on the page's own origin, which the site says as a path. */
function absolute(url: string): string {
  try {
    return new URL(url, location.href).href;
  } catch {
    throw nonsense();
  }
}

const nonsense = () => new SiteError("unavailable", "");

function toMs(seconds: unknown): number | null {
  const value = Number(seconds ?? Number.NaN);
  return Number.isFinite(value) && value >= 0 ? value * 1000 : null;
}

/** Read whose SDK object to use; what was written down before there was a choice means ours. */
export const sdkFrom = (data: unknown): SdkSource => (data === "widget" ? "widget" : "bundled");

function visitorFrom(data: Json | undefined): Visitor {
  return {
    id: textOrNull(data?.id),
    name: textOrNull(data?.name),
    isManager: data?.is_manager === true,
    isSignedIn: data?.is_signed_in === true,
    isPersistent: data?.is_persistent === true,
  };
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);
