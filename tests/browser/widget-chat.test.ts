import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Chat, type ChatListener, LineError, RefusedError } from "../../browser/sdk/chat";
import { MissingError } from "../../browser/sdk/hosted-errors";
import { newChat } from "../../browser/sdk/new-chat";
import { listRooms } from "../../browser/sdk/page-widget";
import { postingOf } from "../../browser/sdk/posting";
import type { Access } from "../../browser/site";
import { FakeCore, FakePageHub, message, putOnPage } from "./fake-widget";
import { loadParts } from "./parts";
import { until } from "./until";

const access: Access = {
  mode: "hosted",
  sdk: "widget",
  isClosed: false,
  isPrivate: false,
  websiteId: "site",
  apiUrl: "http://service.test/v1",
  chatroomId: "room-1",
  ticket: null,
  visitor: { id: null, name: null, isManager: false, isSignedIn: false, isPersistent: false },
  limits: { page_size: 3 },
};

let core: FakeCore;
let warned: ReturnType<typeof vi.spyOn>;
const heard: unknown[][] = [];
const listener: ChatListener = {
  received: (it) => heard.push(["received", it.id, it.senderName]),
  updated: (it) => heard.push(["updated", it.id, it.text]),
  deleted: (id) => heard.push(["deleted", id]),
  closedChanged: (isClosed) => heard.push(["closed", isClosed]),
  goneChanged: (isGone) => heard.push(["gone", isGone]),
  rightsChanged: (isManager) => heard.push(["manager", isManager]),
  crowdChanged: () => {},
  removed: () => heard.push(["removed"]),
  lineClosed: () => heard.push(["line closed"]),
};

beforeAll(loadParts);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("chatixWidget", undefined);
  warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  heard.length = 0;
  core = new FakeCore();
});

afterEach(() => {
  // Nothing of ours may start or stop what is somebody else's.
  expect(core.start).not.toHaveBeenCalled();
  expect(core.stop).not.toHaveBeenCalled();
  vi.useRealTimers();
});

async function started(): Promise<Chat> {
  putOnPage(core);
  const chat = await newChat(access, listener);
  await chat.start();
  await chat.join();
  return chat;
}

/** The SDK of a build that keeps what is inside to itself. */
function hide(): void {
  core.chat = undefined;
}

describe("the widget's SDK object", () => {
  test("is joined, read and written by documented calls", async () => {
    const chat = await started();
    expect(core.connectToChatroom.mock.calls).toEqual([["room-1"]]);
    const { messages } = await chat.history(null, 3);
    expect(messages).toMatchObject([{ id: "m1", text: "first", senderName: "name of other" }]);
    expect(core.getChatroomMessages.mock.calls).toEqual([["room-1", null, 3]]);
    expect(await postingOf(chat).send("hello", "key")).toMatchObject({ id: "m2", text: "hello" });
    expect(core.sendChatroomTextMessage.mock.calls).toEqual([["hello", "room-1"]]);
    expect(chat.selfId).toBe("widget-visitor");
    expect(chat.isGapProof).toBe(false);
  });

  test("is listened to beside the widget's own handlers, and let alone afterwards", async () => {
    const theirs = vi.fn();
    core.onChatroomMessageReceived = theirs;
    const chat = await started();
    core.onChatroomMessageReceived("group-chat", message("g1", "not ours"));
    core.onChatroomMessageReceived("room-1", message("m1", "ours"));
    core.onChatroomMessageUpdated(message("m1", "reworded"));
    core.onChatroomMessageDeleted("m1");
    core.onChatroomDeleted("room-1");
    core.onChatroomRestored({ id: "room-1" });
    core.onMemberDisconnectedFromChatroom("room-1", { uuid: "widget-visitor" });
    await until(() => expect(heard).toHaveLength(6));
    expect(new Set(heard.map(([what]) => what))).toEqual(
      new Set(["received", "updated", "deleted", "gone", "removed"]),
    );
    expect(theirs.mock.calls.map(([room]) => room)).toEqual(["group-chat", "room-1"]);

    chat.depart(true);
    expect(core.disconnectFromChatroom.mock.calls).toEqual([["room-1"]]);
    expect(core.onChatroomMessageReceived).toBe(theirs);
    core.hub?.close();
    core.onConnected();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard).toHaveLength(6);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("keeps its visitor's name until the reader posts under one, and gets it back if that fails", async () => {
    core.visitor.name = "Robin";
    const chat = await started();
    await postingOf(chat).announce("Robin");
    expect(core.setName).not.toHaveBeenCalled();
    core.setName.mockImplementationOnce(async (name) => {
      core.visitor.name = name;
      throw new Error("This name cannot be used.");
    });
    await expect(postingOf(chat).announce("Admin")).rejects.toBeInstanceOf(RefusedError);
    expect(core.visitor.name).toBe("Robin");
    await postingOf(chat).announce("Kim");
    expect(core.visitor.name).toBe("Kim");
  });

  test("says no in the service's words, and that the line broke in ours", async () => {
    const chat = await started();
    core.sendChatroomTextMessage.mockRejectedValueOnce(new Error("Too long."));
    await expect(postingOf(chat).send("x", "key")).rejects.toThrow(new RefusedError("Too long."));
    core.sendChatroomTextMessage.mockImplementationOnce(async () => {
      core.hub?.close();
      throw new Error("Connection closed.");
    });
    await expect(postingOf(chat).send("x", "key")).rejects.toMatchObject({
      name: "LineError",
      mayHaveArrived: true,
    });
    await expect(postingOf(chat).send("x", "key")).rejects.toMatchObject({
      name: "LineError",
      mayHaveArrived: false,
    });
  });
});

describe("an upload", () => {
  const transfer = { signal: new AbortController().signal, progressed() {} };

  test("is handed back as the message that holds it", async () => {
    const chat = await started();
    const draft = { ...message("m3", ""), file_url: "/files/x" };
    core.uploaded.mockResolvedValue([draft]);
    const uploaded = await postingOf(chat).upload(new File(["x"], "x.txt"), transfer);
    expect(uploaded).toEqual({ url: "/files/x", draft });
    chat.depart(false);
  });

  test.each(["before it began", "in between"])("that was given up %s is not waited for", async (when) => {
    const chat = await started();
    core.uploaded.mockReturnValue(new Promise(() => {}));
    const ending = new AbortController();
    if (when === "before it began") ending.abort();
    const upload = postingOf(chat).upload(new File(["x"], "x.txt"), { ...transfer, signal: ending.signal });
    const failure = expect(upload).rejects.toBeInstanceOf(LineError);
    await vi.advanceTimersByTimeAsync(10);
    ending.abort();
    await failure;
    expect(heard).toEqual([]);
    chat.depart(false);
  });

  test("that fails after it was given up is nobody's news", async () => {
    const chat = await started();
    let fail: (error: Error) => void = () => {};
    core.uploaded.mockReturnValue(
      new Promise((_, reject) => {
        fail = reject;
      }),
    );
    const ending = new AbortController();
    const upload = postingOf(chat).upload(new File(["x"], "x.txt"), { ...transfer, signal: ending.signal });
    const failure = expect(upload).rejects.toThrow("given up");
    await vi.advanceTimersByTimeAsync(10);
    ending.abort();
    await failure;
    fail(new Error("too late"));
    await vi.advanceTimersByTimeAsync(10);
    chat.depart(false);
  });
});

describe("waiting for the widget", () => {
  test.each([
    ["there is none", () => putOnPage(undefined), "this page has no chatixWidget.core"],
    ["something else has its name", () => vi.stubGlobal("chatixWidget", document.body), "this page has no"],
    [
      "it cannot be touched",
      () =>
        vi.stubGlobal(
          "chatixWidget",
          Object.defineProperty({}, "core", {
            get() {
              throw new Error("hands off");
            },
          }),
        ),
      "this page has no chatixWidget.core",
    ],
    [
      "it is an old one",
      () => putOnPage({ getVisitor() {}, setName() {}, connectToChatroom() {}, getChatroomMessages() {} }),
      "without getMember, disconnectFromChatroom, sendChatroomTextMessage",
    ],
    ["it is sealed", () => putOnPage(Object.seal(core)), "cannot be listened to"],
    ["it is of another website", () => putOnPage(new FakeCore("elsewhere")), "of another CHATIX_WEBSITE_ID"],
    [
      "it was never started",
      () => {
        core.hub = undefined;
        putOnPage(core);
      },
      "nobody has called chatixWidget.core.start()",
    ],
  ])("%s: that is said once, and it is waited for", async (_, prepare, problem) => {
    prepare();
    const failed = (await newChat(access, listener)).start().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(warned).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2_000);
    const error = await failed;
    expect(error).toBeInstanceOf(MissingError);
    expect((error as Error).message).toContain(problem);
    for (const [text] of warned.mock.calls) expect(text).toContain("CHATIX_SDK");

    const giveUp = new AbortController();
    let hasCome = false;
    void (error as MissingError).missing.untilItComes(giveUp.signal).then(() => {
      hasCome = true;
    });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(hasCome).toBe(false);
    putOnPage(new FakeCore());
    await vi.advanceTimersByTimeAsync(5_000);
    expect(hasCome).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("looks again at once when a script has loaded, and seldom otherwise", async () => {
    const looked = vi.fn(() => undefined);
    vi.stubGlobal("chatixWidget", Object.defineProperty({}, "core", { get: looked }));
    const chat = await newChat(access, listener);
    const starting = chat.start().catch(() => {});
    await vi.advanceTimersByTimeAsync(14_000);
    expect(looked.mock.calls.length).toBeLessThan(20);
    putOnPage(core);
    const script = document.body.appendChild(document.createElement("p"));
    script.dispatchEvent(new Event("load"));
    await vi.advanceTimersByTimeAsync(0);
    await starting;
    expect(chat.isConnected).toBe(true);
    chat.depart(false);
  });

  test("ends when the section goes", async () => {
    const chat = await newChat(access, listener);
    const failed = chat.start().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    chat.depart(true);
    expect(await failed).toBeInstanceOf(LineError);
    expect(vi.getTimerCount()).toBe(0);
    putOnPage(core);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(core.connectToChatroom).not.toHaveBeenCalled();
  });
});

describe("an outage", () => {
  test("a connection that the SDK has given up is started again, when we are told to", async () => {
    const chat = await started();
    core.hub?.close();
    expect(heard).toEqual([["line closed"]]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(core.hub?.start).not.toHaveBeenCalled();
    expect(chat.canRestart(access)).toBe(true);
    core.hub?.start.mockRejectedValueOnce(new Error("Failed to fetch"));
    await expect(chat.restart(access)).rejects.toBeInstanceOf(LineError);
    await chat.restart(access);
    expect(core.hub?.start).toHaveBeenCalledTimes(2);
    core.hub?.close();
    expect(heard).toEqual([["line closed"], ["line closed"]]);
    expect(core.hub?.callbacks).toHaveLength(1);
  });

  test.each([
    ["one that is coming up by itself", 0, 0],
    ["one of the newer client that is coming up", "Connecting", undefined],
  ])("%s is waited for (Q8)", async (_, state, connectionState) => {
    const chat = await started();
    const hub = core.hub as FakePageHub;
    hub.close();
    hub.state = state;
    Object.assign(hub.connection, { connectionState });
    const restarting = chat.restart(access);
    await vi.advanceTimersByTimeAsync(1_000);
    hub.open();
    await vi.advanceTimersByTimeAsync(200);
    await restarting;
    expect(hub.start).not.toHaveBeenCalled();
  });

  test("one that came up meanwhile is used as it is", async () => {
    const chat = await started();
    core.hub?.close();
    core.hub?.open();
    await chat.restart(access);
    expect(core.hub?.start).not.toHaveBeenCalled();
  });

  test("one that the widget has ended on purpose is not for us to start", async () => {
    const chat = await started();
    core.hub?.close();
    core.onDisconnected();
    const failed = chat.restart(access).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(21_000);
    expect(await failed).toBeInstanceOf(LineError);
    expect(core.hub?.start).not.toHaveBeenCalled();

    const again = chat.restart(access);
    core.hub = new FakePageHub();
    core.onConnected();
    await vi.advanceTimersByTimeAsync(200);
    await again;
    expect(heard).toEqual([["line closed"]]);
  });

  test("the widget's second start makes another connection, which is the one that counts", async () => {
    const chat = await started();
    const first = core.hub;
    core.onConnected();
    expect(heard).toEqual([]);
    core.hub = new FakePageHub();
    core.onConnected();
    expect(heard).toEqual([["line closed"]]);
    await chat.restart(access);
    first?.close();
    expect(heard).toHaveLength(1);
    core.hub.close();
    expect(heard).toHaveLength(2);
  });

  test("a call that is not answered ends the line for us only (Q16)", async () => {
    const chat = await started();
    core.sendChatroomTextMessage.mockReturnValueOnce(new Promise(() => {}));
    const failed = postingOf(chat)
      .send("hello?", "key")
      .catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await failed).toMatchObject({ name: "LineError", mayHaveArrived: true });
    expect(heard).toEqual([["line closed"]]);
    await chat.restart(access);
    expect(chat.isConnected).toBe(true);
  });

  test("a widget that was replaced is noticed, and left for the new one", async () => {
    const chat = await started();
    const other = new FakeCore();
    putOnPage(other);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(heard).toEqual([["line closed"]]);
    expect(chat.canRestart(access)).toBe(false);
    chat.depart(false);
    const next = await newChat(access, listener);
    await next.start();
    await next.join();
    expect(other.connectToChatroom).toHaveBeenCalledOnce();
    next.depart(false);
  });
});

describe("a build that hides its connection", () => {
  beforeEach(hide);

  test("is known to be there by a list of one room", async () => {
    const chat = await started();
    expect(core.getAllChatrooms).toHaveBeenCalledWith(1, 1);
    core.sendChatroomTextMessage.mockRejectedValueOnce(new Error("Too long."));
    await expect(postingOf(chat).send("x", "key")).rejects.toBeInstanceOf(RefusedError);
    core.sendChatroomTextMessage.mockRejectedValueOnce(new Error("Not connected."));
    core.getAllChatrooms.mockRejectedValueOnce(new Error("Not connected."));
    await expect(postingOf(chat).send("x", "key")).rejects.toBeInstanceOf(LineError);
    chat.depart(false);
  });

  test("takes no files, as they would be posted to no room (Q1)", async () => {
    const chat = await started();
    const transfer = { signal: new AbortController().signal, progressed() {} };
    await expect(postingOf(chat).upload(new File(["x"], "x.txt"), transfer)).rejects.toBeInstanceOf(
      RefusedError,
    );
    chat.depart(false);
  });

  test("is missed when it gives no sign of life, and used again when it does", async () => {
    const chat = await started();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(heard).toEqual([]);
    core.getAllChatrooms.mockReturnValue(new Promise(() => {}));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(heard).toEqual([["line closed"]]);
    const failed = chat.restart(access).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await failed).toBeInstanceOf(LineError);
    core.getAllChatrooms.mockResolvedValue({ items: [] });
    await chat.restart(access);
    expect(chat.isConnected).toBe(true);
    core.onDisconnected();
    expect(heard).toHaveLength(2);
    await chat.restart(access);
    core.onConnected();
    expect(heard).toHaveLength(3);
    chat.depart(false);
  });
});

test.each([
  ["an envelope", { getAllChatrooms: async () => ({ items: ["room"] }) }],
  ["a list, under the name of the vendor's page", { getChatrooms: async () => ["room"] }],
])("rooms are understood as %s (Q25)", async (_, calls) => {
  expect(await listRooms(Object.assign({}, calls) as never, 1, 10)).toEqual(["room"]);
  await expect(listRooms({} as never, 1, 10)).rejects.toThrow("lists no chatrooms");
});
