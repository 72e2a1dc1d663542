import { beforeEach, describe, expect, test, vi } from "vitest";
import { sendLeaves } from "../../browser/left-behind";
import { Site, SiteError } from "../../browser/site";

const fetched = vi.fn();
const never = new AbortController().signal;
let endpoints = 0;
let site: Site;

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
  endpoints += 1;
  site = new Site(`/chatix-${endpoints}/`, "post-token");
});

const access = {
  state: "open",
  mode: "hub",
  website_id: "local",
  api_url: "http://hub.test/v1",
  chatroom_id: "room",
  ticket: "ticket",
  visitor: { id: "me", name: "Robin", is_manager: true, is_signed_in: true, is_persistent: true },
  limits: { message_chars: 500, name_chars: 40, page_size: 20, edit_window_s: 900 },
};

function answers(status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  fetched.mockImplementationOnce(async () => new Response(text, { status, headers }));
}

const sentBody = () => JSON.parse(fetched.mock.calls.at(-1)?.[1].body);

async function failure(): Promise<SiteError> {
  const error = await site.join(never).catch((caught: unknown) => caught);
  if (!(error instanceof SiteError)) throw error;
  return error;
}

describe("joining", () => {
  test("reads everything that the site says", async () => {
    answers(200, access);
    expect(await site.join(never)).toEqual({
      mode: "hub",
      sdk: "bundled",
      isClosed: false,
      isPrivate: false,
      websiteId: "local",
      apiUrl: "http://hub.test/v1",
      chatroomId: "room",
      ticket: "ticket",
      visitor: { id: "me", name: "Robin", isManager: true, isSignedIn: true, isPersistent: true },
      limits: access.limits,
    });
    expect(fetched.mock.calls[0]?.[0]).toBe(`/chatix-${endpoints}/join`);
  });

  test("hosted, closed, and without what may be missing", async () => {
    answers(200, { state: "closed", mode: "hosted", website_id: 7, api_url: "https://u/", chatroom_id: "r" });
    expect(await site.join(never)).toEqual({
      mode: "hosted",
      sdk: "bundled",
      isClosed: true,
      isPrivate: false,
      websiteId: "7",
      apiUrl: "https://u/",
      chatroomId: "r",
      ticket: null,
      visitor: { id: null, name: null, isManager: false, isSignedIn: false, isPersistent: false },
      limits: {},
    });
  });

  test("a chatroom that is deleted, or not for us, is no failure of the site, and says when to ask again", async () => {
    answers(200, { state: "gone", retry_after_s: 60 });
    await expect(new Site("/chatix-comments", "token").join(never)).rejects.toMatchObject({
      kind: "gone",
      retryAfterMs: 60_000,
      mayPass: true,
    });
  });

  test("says whether the chatroom is private", async () => {
    answers(200, { ...access, is_private: true });
    expect((await site.join(never)).isPrivate).toBe(true);
  });

  test("tells the site once that the chat service has not let us in", async () => {
    answers(200, access);
    site.noteNotLetIn();
    await site.join(never);
    expect(sentBody()).toMatchObject({ was_refused: true });
    answers(200, access);
    await site.join(never);
    expect(sentBody()).not.toHaveProperty("was_refused");
  });

  test("a hub that is a path is on the page's own origin", async () => {
    answers(200, { ...access, api_url: "/blog/chatix-comments/hub/v1" });
    expect((await site.join(never)).apiUrl).toBe(`${location.origin}/blog/chatix-comments/hub/v1`);
  });

  test("sends the last ticket along, also for another section of the page", async () => {
    answers(200, access);
    await site.join(never);
    expect(sentBody()).toEqual({ post: "post-token", ticket: null });
    answers(200, access);
    await new Site(`/chatix-${endpoints}`, "another post").join(never);
    expect(sentBody()).toEqual({ post: "another post", ticket: "ticket" });
  });
});

describe("failures", () => {
  test.each<[number, unknown, Record<string, string>, Partial<SiteError>]>([
    [
      202,
      { state: "preparing", retry_after_s: 3 },
      {},
      { kind: "preparing", retryAfterMs: 3000, mayPass: true },
    ],
    [202, { state: "preparing" }, {}, { kind: "preparing", retryAfterMs: 1000 }],
    [
      503,
      { error: "unavailable", message: "Soon.", retry_after_s: 5 },
      {},
      { kind: "unavailable", message: "Soon.", retryAfterMs: 5000 },
    ],
    [503, "<html>", { "Retry-After": "7" }, { kind: "unavailable", retryAfterMs: 7000, mayPass: true }],
    [500, "[]", {}, { kind: "unavailable", retryAfterMs: null }],
    [
      429,
      {},
      { "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT" },
      { kind: "unavailable", retryAfterMs: null },
    ],
    [
      400,
      { error: "bad_token", message: "Out of date." },
      {},
      { kind: "refused", message: "Out of date.", mayPass: false },
    ],
    [404, "not found", {}, { kind: "refused", message: "" }],
    [200, "<!doctype html>", {}, { kind: "unavailable" }],
    [200, { state: "open", chatroom_id: 5 }, {}, { kind: "unavailable" }],
    [200, "null", {}, { kind: "unavailable" }],
    [200, { ...access, api_url: "http://[" }, {}, { kind: "unavailable" }],
    [
      503,
      { error: "no_hub", message: "Not yet." },
      {},
      { kind: "not-set-up", message: "Not yet.", retryAfterMs: null, mayPass: false },
    ],
  ])("%i with %j", async (status, body, headers, expected) => {
    answers(status, body, headers);
    expect(await failure()).toMatchObject(expected);
  });

  test("no answer at all", async () => {
    fetched.mockRejectedValueOnce(new TypeError("Failed to fetch"));
    expect(await failure()).toMatchObject({ kind: "unreachable", mayPass: true });
  });

  test("an answer that does not come in time, and a section that goes away", async () => {
    vi.useFakeTimers();
    fetched.mockImplementation(
      (_url, { signal }: RequestInit) =>
        new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    );
    const slow = failure();
    await vi.advanceTimersByTimeAsync(15_000);
    expect((await slow).kind).toBe("unreachable");
    const gone = new AbortController();
    const joining = site.join(gone.signal);
    gone.abort();
    await expect(joining).rejects.toMatchObject({ kind: "unreachable" });
    vi.useRealTimers();
  });
});

describe("taking part and leaving", () => {
  test("the new ticket is used from then on", async () => {
    answers(200, { ticket: "guest", visitor: { id: "me", name: "Robin", is_persistent: true } });
    expect(await site.takePart("Robin", never)).toMatchObject({
      visitor: { name: "Robin", isPersistent: true },
      ticket: "guest",
    });
    expect(sentBody()).toEqual({ post: "post-token", ticket: null, name: "Robin" });
    const sendBeacon = vi.fn();
    vi.stubGlobal("navigator", { sendBeacon });
    site.leave([{ chatroomId: "room", connectionId: "c" }]);
    const [url, blob] = sendBeacon.mock.calls[0] ?? [];
    expect(url).toBe(`/chatix-${endpoints}/leave`);
    expect(JSON.parse(await blob.text())).toEqual({
      ticket: "guest",
      leaves: [{ chatroom_id: "room", connection_id: "c" }],
    });
  });

  test("a ticket that was refused is reported until there is another answer", async () => {
    site.refuseTicket();
    answers(503, {});
    await expect(site.join(never)).rejects.toMatchObject({ kind: "unavailable" });
    answers(200, { state: "open", chatroom_id: "r", api_url: "u", ticket: "another" });
    expect((await site.join(never)).ticket).toBe("another");
    expect(sentBody()).toMatchObject({ is_refused: true });
    answers(200, { state: "open", chatroom_id: "r", api_url: "u" });
    await site.join(never);
    expect(sentBody()).toEqual({ post: "post-token", ticket: "another" });
    answers(200, { state: "open", chatroom_id: "r", api_url: "u" });
    await site.join(never);
    expect(sentBody()).toEqual({ post: "post-token", ticket: null });
  });

  test("a name that is refused", async () => {
    answers(422, { error: "bad_name", message: "Too long." });
    await expect(site.takePart("x", never)).rejects.toMatchObject({ kind: "bad-name", message: "Too long." });
    answers(422, "");
    await expect(site.takePart("x", never)).rejects.toMatchObject({ kind: "bad-name", message: /name/ });
  });
});

test("leaves that nobody answers are given up after some seconds", async () => {
  vi.useFakeTimers();
  fetched.mockImplementation(
    (_url: string, { signal }: RequestInit) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted")));
      }),
  );
  const leaving = sendLeaves("/c", [{ chatroomId: "r", connectionId: "c" }]).catch(() => "given up");
  await vi.advanceTimersByTimeAsync(5000);
  expect(await leaving).toBe("given up");
  vi.useRealTimers();
});
