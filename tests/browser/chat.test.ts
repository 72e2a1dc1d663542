import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  BusyError,
  type Chat,
  type ChatListener,
  GoneError,
  LineError,
  RefusedError,
} from "../../browser/sdk/chat";
import { newChat } from "../../browser/sdk/new-chat";
import { postingOf } from "../../browser/sdk/posting";
import type { Access } from "../../browser/site";
import { API_URL, FakeHub, FakeSocket } from "./fake-hub";
import { loadParts } from "./parts";
import { until } from "./until";

const hubAccess: Access = {
  mode: "hub",
  sdk: "bundled",
  isClosed: false,
  isPrivate: false,
  websiteId: "local",
  apiUrl: API_URL,
  chatroomId: "room-1",
  ticket: "ticket-1",
  visitor: { id: "me", name: "Robin", isManager: false, isSignedIn: false, isPersistent: true },
  limits: { page_size: 3 },
};
const hostedAccess: Access = { ...hubAccess, mode: "hosted", websiteId: "site", ticket: null };

let hub: FakeHub;
let consoleError: ReturnType<typeof vi.spyOn>;
const heard: unknown[][] = [];
const listener: ChatListener = {
  received: (message) => heard.push(["received", message.id, message.senderName]),
  updated: (message) => heard.push(["updated", message.id, message.text]),
  deleted: (id) => heard.push(["deleted", id]),
  closedChanged: (isClosed) => heard.push(["closed", isClosed]),
  removed: () => heard.push(["removed"]),
  goneChanged: (isGone) => heard.push(["gone", isGone]),
  rightsChanged: (isManager) => heard.push(["manager", isManager]),
  crowdChanged: () => {},
  lineClosed: (comeAgainMs) =>
    heard.push(comeAgainMs === undefined ? ["line closed"] : ["line closed", comeAgainMs]),
};

// Faked time does not wait for a file.
beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers();
  hub = new FakeHub().install();
  heard.length = 0;
  localStorage.clear();
  consoleError = vi.spyOn(console, "error");
});

afterEach(() => {
  vi.useRealTimers();
});

async function started(access = hubAccess): Promise<Chat> {
  const chat = await newChat(access, listener);
  await chat.start();
  await chat.join();
  return chat;
}

describe("on our own hub", () => {
  test("connects with the ticket, to the address that the site named", async () => {
    const chat = await started();
    expect(hub.lastSocket.url.href).toBe(
      "ws://hub.test/v1/chat?visitorId=ticket-1&websiteId=local&id=token-1",
    );
    expect(chat.connectionId).toBe("connection-1");
    expect(hub.calls.map((call) => call.target)).toEqual([
      "GetVisitorInfo",
      "GetManagers",
      "GetMyChatrooms",
      "ConnectToChatroom",
    ]);
  });

  test("tells when the hub wants to see it again, once", async () => {
    const chat = await started();
    const goodbye = { type: 7, error: "The hub restarts.", allowReconnect: true };
    const comeAgain = (afterMs: unknown) => ({ type: 1, target: "OnComeAgain", arguments: [afterMs] });
    hub.lastSocket.deliver(comeAgain(1234), goodbye);
    await until(() => expect(heard).toEqual([["line closed", 1234]]));
    for (const nonsense of [null, "soon", -1]) {
      await chat.restart(hubAccess);
      hub.lastSocket.deliver(comeAgain(nonsense), goodbye);
      await until(() => expect(heard.slice(1)).toEqual([["line closed"]]));
      heard.pop();
    }
  });

  test("stores nothing in the browser, and needs no storage (Q27)", async () => {
    const storage = vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    await started();
    storage.mockRestore();
    expect(localStorage.length).toBe(0);
  });

  test("reads history with what our hub adds, and its cursor", async () => {
    hub.names.set("other", "Kim");
    hub.post("first");
    hub.edit("m1", "first, reworded");
    const chat = await started();
    const { messages, cursor, hasMore } = await chat.history(null, 10);
    expect([cursor, hasMore]).toEqual(["c2", false]);
    expect(messages).toEqual([
      {
        id: "m1",
        seq: 1,
        sentAt: new Date(1_700_000_001_000),
        editedAt: new Date(1_700_000_061_000),
        senderId: "other",
        senderName: "Kim",
        isFromManager: false,
        isWhisper: false,
        text: "first, reworded",
        file: null,
      },
    ]);
  });

  test("lists changes since a cursor", async () => {
    hub.post("one");
    hub.post("two");
    const chat = await started();
    hub.historyLimit = 1;
    const { cursor, hasMore, messages } = await chat.history(null, 10);
    expect([hasMore, messages.length]).toEqual([true, 1]);
    hub.delete("m1");
    hub.post("three");
    const answer = await chat.changes(cursor);
    expect(
      answer.changes.map((change) => ("deletedId" in change ? change.deletedId : change.message.id)),
    ).toEqual(["m1", "m3"]);
    expect(answer).toMatchObject({ cursor: "c4", hasMore: false });
  });

  test("sends text with the client key, and takes the stored message for the answer", async () => {
    const chat = await started();
    const message = await postingOf(chat).send("hello", "key-1");
    expect(message).toMatchObject({ id: "m1", text: "hello", senderId: "me" });
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([
      [{ type: 0, content: "hello", uuid: "key-1" }, "room-1"],
    ]);
    expect((await postingOf(chat).send("hello", "key-1")).id).toBe("m1");
    expect(hub.messages).toHaveLength(1);
  });

  test("whispers, edits and deletes by methods of our hub", async () => {
    hub.isManager = true;
    const chat = await started();
    const whisper = await postingOf(chat).whisper("Psst", "key-1");
    expect(whisper).toMatchObject({ id: "m1", text: "Psst", isWhisper: true });
    expect(hub.callsOf("SendChatroomWhisper")).toEqual([["Psst", "room-1", "key-1"]]);
    expect(await postingOf(chat).edit("m1", "Psst!")).toMatchObject({
      id: "m1",
      text: "Psst!",
      isWhisper: true,
    });
    await postingOf(chat).remove("m1");
    expect(hub.messages).toEqual([]);
    await expect(postingOf(chat).remove("m1")).rejects.toThrow("There is no such message.");
    expect(hub.callsOf("SaveChatroomMessage")).toEqual([]);
  });

  test("knows the hub's time and whether it serves a manager only by the hub's word", async () => {
    const chat = await started();
    expect([chat.now, chat.isManager]).toEqual([null, false]);
    hub.isManager = true;
    hub.skewS = -3600;
    await chat.history(null, 10);
    const hubsTime = Date.now() - 3_600_000;
    expect(Math.abs((chat.now?.getTime() ?? 0) - hubsTime)).toBeLessThan(100);
    expect(chat.isManager).toBe(true);
    // Somebody sets the browser's clock: the time that passed is what counts.
    vi.setSystemTime(0);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(Math.abs((chat.now?.getTime() ?? 0) - hubsTime - 20_000)).toBeLessThan(100);
    hub.setManager(false);
    await until(() => expect(heard).toContainEqual(["manager", false]));
    expect(chat.isManager).toBe(false);
    hub.isManager = true;
    await chat.changes(null);
    expect(chat.isManager).toBe(true);
  });

  test("tells what happens in its room, and nothing of others", async () => {
    await started();
    hub.names.set("other", "Kim");
    hub.post("one");
    hub.edit("m1", "uno");
    hub.delete("m1");
    hub.tell("ApplyChatroomMessage", [{ uuid: "x", sent_at: 1 }, "another room"]);
    hub.tell("OnUpdateChatroom", [{ id: "room-1", title: "t", managers: [], is_closed: true }]);
    hub.tell("OnUpdateChatroom", [{ id: "other", title: "t", managers: [], is_closed: true }]);
    for (const id of ["other", "room-1"]) {
      hub.tell("OnDeleteChatroom", [id]);
      hub.tell("OnRestoreChatroom", [{ id, title: "t", managers: [], is_closed: false }]);
    }
    await until(() => expect(heard).toHaveLength(7));
    expect(heard).toEqual([
      ["received", "m1", "Kim"],
      ["updated", "m1", "uno"],
      ["deleted", "m1"],
      ["closed", true],
      ["gone", true],
      ["closed", false],
      ["gone", false],
    ]);
  });

  test("a room that lets nobody in is gone, and not a fault of the line", async () => {
    hub.isDeleted = true;
    const chat = await newChat(hubAccess, listener);
    await chat.start();
    await expect(chat.join()).rejects.toMatchObject({
      name: "GoneError",
      message: "There is no such chatroom.",
    });
    hub.isDown = true;
    hub.cut();
    await expect(chat.join()).rejects.toMatchObject({ name: "LineError" });
  });

  test("a broken record and a handler that throws keep nobody else from hearing (Q15)", async () => {
    const reported = vi.fn();
    vi.stubGlobal("reportError", reported);
    const chat = await newChat(hubAccess, {
      ...listener,
      deleted: () => {
        throw new Error("a bug of ours");
      },
    });
    await chat.start();
    await chat.join();
    hub.tell("ApplyChatroomMessage", [{ uuid: 7 }, "room-1"]);
    hub.tell("OnDeleteChatroomMessage", ["m0", "room-1"]);
    hub.post("still heard");
    await until(() => expect(heard).toEqual([["received", "m1", null]]));
    expect(reported).toHaveBeenCalledOnce();
  });

  test("what the hub refuses is told in its words", async () => {
    const chat = await started();
    await expect(postingOf(chat).send("forbidden", "k")).rejects.toThrow(
      new RefusedError("This cannot be posted."),
    );
  });

  test("who is too early is told when to come again", async () => {
    const sentence = "There were too many comments in a short time. Please try again in 12 seconds.";
    const chat = await started();
    hub.failures.push({ target: "SaveChatroomMessage", message: sentence });
    const error = await postingOf(chat)
      .send("again", "k")
      .catch((caught) => caught);
    expect(error).toBeInstanceOf(BusyError);
    expect(error).toMatchObject({ message: sentence, retryAfterMs: 12_000 });
  });

  test("who is too early to join is not told that the chatroom is gone", async () => {
    const chat = await newChat(hubAccess, listener);
    await chat.start();
    hub.failures.push({ target: "ConnectToChatroom", message: "Too many. Please try again in 1 second." });
    await expect(chat.join()).rejects.toBeInstanceOf(BusyError);
    hub.failures.push({ target: "ConnectToChatroom", message: "There is no such chatroom." });
    await expect(chat.join()).rejects.toBeInstanceOf(GoneError);
  });

  test("an answer that never comes ends the connection (Q16)", async () => {
    const chat = await started();
    hub.isSilent = true;
    const sending = postingOf(chat).send("hello?", "k");
    const failure = expect(sending).rejects.toMatchObject({ name: "LineError", mayHaveArrived: true });
    await vi.advanceTimersByTimeAsync(15_000);
    await failure;
    await until(() => expect(heard).toEqual([["line closed"]]));
    expect(hub.sockets.size).toBe(0);
  });

  test("a line that breaks under a call may have carried it; a call without a line has not (Q17)", async () => {
    const chat = await started();
    hub.losesAnswers = true;
    await expect(postingOf(chat).send("hello", "k")).rejects.toMatchObject({
      name: "LineError",
      mayHaveArrived: true,
    });
    await expect(postingOf(chat).send("hello", "k")).rejects.toMatchObject({
      name: "LineError",
      mayHaveArrived: false,
    });
    expect(hub.messages).toHaveLength(1);
  });

  test("a hub that falls silent is noticed (Q18)", async () => {
    await started();
    await vi.advanceTimersByTimeAsync(34_000);
    expect(heard).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(heard).toEqual([["line closed"]]);
  });

  test("a lost line is not restarted behind our back (Q5), and can be restarted with a fresh ticket", async () => {
    const chat = await started();
    hub.cut();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hub.requestsTo("negotiate")).toHaveLength(1);
    expect(heard).toEqual([["line closed"]]);

    const fresh = { ...hubAccess, ticket: "ticket-2", apiUrl: "http://hub.test/v1/" };
    expect(chat.canRestart(fresh)).toBe(true);
    await chat.restart(fresh);
    await chat.join();
    expect(hub.lastSocket.visitorId).toBe("ticket-2");
    expect(chat.connectionId).toBe("connection-2");
    hub.post("heard once");
    await until(() => expect(heard).toEqual([["line closed"], ["received", "m1", null]]));
    expect(localStorage.length).toBe(0);
  });

  test("another room, website or mode needs another chat", async () => {
    const chat = await started();
    expect(chat.canRestart(hubAccess)).toBe(false);
    hub.cut();
    expect(chat.canRestart(hubAccess)).toBe(true);
    expect(chat.canRestart({ ...hubAccess, chatroomId: "room-2" })).toBe(false);
    expect(chat.canRestart({ ...hubAccess, websiteId: "other" })).toBe(false);
    expect(chat.canRestart({ ...hubAccess, mode: "hosted" })).toBe(false);
  });

  test("a hub that cannot be reached is an error with its cause, and not one on the console (Q10)", async () => {
    hub.isDown = true;
    const chat = await newChat(hubAccess, listener);
    await expect(chat.start()).rejects.toThrow(/Failed to fetch/);
    await expect((await newChat(hubAccess, listener)).start()).rejects.toBeInstanceOf(LineError);
    expect(consoleError).not.toHaveBeenCalled();
  });

  test("a hub that never answers the start is given up", async () => {
    hub.isSilent = true;
    const chat = await newChat(hubAccess, listener);
    const failure = expect(chat.start()).rejects.toBeInstanceOf(LineError);
    await vi.advanceTimersByTimeAsync(20_000);
    await failure;
    expect(hub.sockets.size).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(consoleError).not.toHaveBeenCalled();
  });

  test("departing says goodbye before the socket closes, in the same turn of the event loop", async () => {
    const chat = await started();
    const socket = hub.lastSocket;
    chat.depart(true);
    // Only promise jobs may be needed: a page that is hidden runs no timer any more.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(hub.callsOf("DisconnectFromChatroom")).toEqual([["room-1"]]);
    expect(hub.interested.size).toBe(0);
    expect(socket.readyState).toBe(FakeSocket.CLOSED);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hub.requestsTo("negotiate")).toHaveLength(1);
    expect(consoleError).not.toHaveBeenCalled();
  });

  test("departing in the middle of connecting leaves no socket behind, and no error", async () => {
    const chat = await newChat(hubAccess, listener);
    const starting = expect(chat.start()).rejects.toBeInstanceOf(LineError);
    chat.depart(true);
    await starting;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(hub.sockets.size).toBe(0);
    expect(consoleError).not.toHaveBeenCalled();
  });

  test("leaving waits for the acknowledgement; a room that is gone counts as left", async () => {
    const chat = await started();
    await chat.leave();
    expect(hub.interested.size).toBe(0);
    hub.cut();
    await expect(chat.leave()).rejects.toBeInstanceOf(LineError);
  });
});

describe("on the hosted service", () => {
  beforeEach(() => {
    hub.joinAnswer = { mode: "hosted" };
  });

  test("the SDK gets its own visitor id and keeps it", async () => {
    const chat = await started(hostedAccess);
    expect(hub.requestsTo("/visitor/get-id?websiteId=site")).toHaveLength(1);
    expect(localStorage.getItem("chatix__visitorId_v1")).toBe("fresh-id");
    expect(chat.selfId).toBe("fresh-id");
    expect(hub.callsOf("SavePageInfo")).toEqual([]);
  });

  test("makes documented calls only, and asks each author's name once", async () => {
    hub.names.set("other", "Kim");
    hub.managers = [{ uuid: "boss", name: "Sam", email: null }];
    hub.post("one");
    hub.post("two");
    hub.post("three", "boss", { sender_flag: 1 });
    const chat = await started(hostedAccess);
    const { messages, cursor } = await chat.history(null, 10);
    expect(messages.map((message) => [message.text, message.senderName, message.isFromManager])).toEqual([
      ["one", "Kim", false],
      ["two", "Kim", false],
      ["three", "Sam", true],
    ]);
    expect(cursor).toBeNull();
    expect(hub.callsOf("GetVisitorByVisitor")).toEqual([["other"]]);
    expect(hub.callsOf("GetChatroomChanges")).toEqual([]);
  });

  test("hears messages, edits and deletions", async () => {
    hub.names.set("other", "Kim");
    await started(hostedAccess);
    hub.post("one");
    await until(() => expect(heard).toEqual([["received", "m1", "Kim"]]));
    hub.edit("m1", "uno");
    hub.delete("m1");
    hub.tell("OnDeleteChatroom", ["room-1"]);
    hub.tell("OnRestoreChatroom", [{ id: "room-1", title: "t", managers: [] }]);
    await until(() => expect(heard).toHaveLength(5));
    expect(heard.slice(1)).toEqual(
      expect.arrayContaining([
        ["updated", "m1", "uno"],
        ["deleted", "m1"],
        ["gone", true],
        ["gone", false],
      ]),
    );
  });

  test("announces the guest's name once (Q21) and sends the text first (Q2)", async () => {
    const chat = await started(hostedAccess);
    await postingOf(chat).announce("Robin");
    await postingOf(chat).announce("Robin");
    expect(hub.callsOf("SaveVisitorInfo")).toHaveLength(1);
    const message = await postingOf(chat).send("hello", "ignored");
    expect(message).toMatchObject({ text: "hello", senderId: "fresh-id", senderName: "Robin" });
    expect(hub.callsOf("SaveChatroomMessage")[0]?.[1]).toBe("room-1");
  });

  test("a name that could not be had is asked for again", async () => {
    hub.post("one", "stranger");
    const chat = await started(hostedAccess);
    expect((await chat.history(null, 10)).messages[0]?.senderName).toBeNull();
    hub.names.set("stranger", "Toni");
    const again = await newChat(hostedAccess, listener);
    await again.start();
    expect((await again.history(null, 10)).messages[0]?.senderName).toBe("Toni");
  });

  test("a visitor id that is not accepted any more gives way to a new one (Q11)", async () => {
    localStorage.setItem("chatix__visitorId_v1", "stale");
    hub.refusedIds.add("stale");
    const chat = await started(hostedAccess);
    expect(chat.selfId).toBe("fresh-id");
    expect(localStorage.getItem("chatix__visitorId_v1")).toBe("fresh-id");
  });

  test.each([400, 401, 403, 404, 408, 410, 429, 500])(
    "a service that answers %i to everybody does not cost the visitor id",
    async (status) => {
      localStorage.setItem("chatix__visitorId_v1", "mine");
      hub.negotiateStatus = status;
      await expect((await newChat(hostedAccess, listener)).start()).rejects.toBeInstanceOf(LineError);
      expect(localStorage.getItem("chatix__visitorId_v1")).toBe("mine");
    },
  );

  test("an id that is called invalid on an open line is given up (Q11)", async () => {
    localStorage.setItem("chatix__visitorId_v1", "mine");
    const chat = await started(hostedAccess);
    hub.tell("OnInvalidVisitorIdConnected", ["no such visitor"]);
    await until(() => expect(heard).toEqual([["line closed"]]));
    expect(localStorage.getItem("chatix__visitorId_v1")).toBeNull();
    expect(chat.canRestart(hostedAccess)).toBe(true);
  });

  test("a line whose address holds another id than the visitor's is not used again (Q12)", async () => {
    const chat = await started(hostedAccess);
    hub.cut();
    await until(() => expect(heard).toEqual([["line closed"]]));
    expect(chat.canRestart(hostedAccess)).toBe(true);
    localStorage.setItem("chatix__visitorId_v1", "mine");
    hub.renames.set("mine", "reissued");
    const again = await started(hostedAccess);
    expect(again.selfId).toBe("reissued");
    hub.cut();
    await until(() => expect(heard).toHaveLength(2));
    expect(again.canRestart(hostedAccess)).toBe(false);
  });

  test("two that start at once on a first visit are one visitor (Q26)", async () => {
    const [first, second] = await Promise.all([started(hostedAccess), started(hostedAccess)]);
    expect([first.selfId, second.selfId]).toEqual(["fresh-id", "fresh-id"]);
    expect(hub.requestsTo("/visitor/get-id")).toHaveLength(1);
  });

  test("being taken out is heard; that others are is not", async () => {
    await started(hostedAccess);
    hub.tell("OnDisconnectVisitorFromChatroom", [{ uuid: "other", name: null, is_online: false }, "room-1"]);
    hub.tell("OnDisconnectVisitorFromChatroom", [
      { uuid: "fresh-id", name: null, is_online: true },
      "room-2",
    ]);
    hub.tell("OnDisconnectVisitorFromChatroom", [
      { uuid: "fresh-id", name: null, is_online: true },
      "room-1",
    ]);
    await until(() => expect(heard).toEqual([["removed"]]));
  });

  test("messages are told in the order in which they came, whoever's name takes longer", async () => {
    hub.names.set("known", "Kim");
    hub.post("zero", "known");
    const chat = await started(hostedAccess);
    await chat.history(null, 10);
    hub.post("one", "unknown");
    hub.post("two", "known");
    await until(() => expect(heard).toHaveLength(2));
    expect(heard.map(([, id]) => id)).toEqual(["m2", "m3"]);
  });

  test("whoever goes while the SDK asks for an id leaves no line behind", async () => {
    const chat = await newChat(hostedAccess, listener);
    const starting = chat.start();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    chat.depart(true);
    await expect(starting).rejects.toBeInstanceOf(LineError);
    await until(() => expect(hub.sockets.size).toBe(0));
  });

  test("a service that is down does not cost the visitor id", async () => {
    localStorage.setItem("chatix__visitorId_v1", "mine");
    hub.isDown = true;
    await expect((await newChat(hostedAccess, listener)).start()).rejects.toBeInstanceOf(LineError);
    expect(localStorage.getItem("chatix__visitorId_v1")).toBe("mine");
  });

  test("works where storage is blocked, with one id per page (Q27)", async () => {
    vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    const first = await started(hostedAccess);
    const second = await started(hostedAccess);
    expect([first.selfId, second.selfId]).toEqual(["fresh-id", "fresh-id"]);
    expect(hub.requestsTo("/visitor/get-id")).toHaveLength(1);
  });
});
