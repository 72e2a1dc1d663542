/** Files in the whole section, with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { openSection, type Section } from "../../browser/section";
import { FakeHub } from "./fake-hub";
import { FakeCore, fileMessage, putOnPage } from "./fake-widget";
import { loadParts } from "./parts";
import { until } from "./until";

const limits = { message_chars: 100, name_chars: 20, page_size: 30, files: 3, file_bytes: 1000 };

let hub: FakeHub;
let host: HTMLElement;
let section: Section;

// Faked time does not wait for a file.
beforeAll(async () => {
  await loadParts();
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  localStorage.clear();
  hub = new FakeHub().install();
  hub.joinAnswer = { limits };
});

afterEach(async () => {
  section.close();
  await vi.advanceTimersByTimeAsync(100);
  host.remove();
  vi.useRealTimers();
});

function open(): void {
  document.body.innerHTML = `<p data-post="post-token" data-endpoint="/chatix-comments"></p>`;
  host = document.querySelector("p") as HTMLElement;
  section = openSection(host);
  section.start();
}

async function openLive(): Promise<void> {
  open();
  await untilStatus("Live");
}

const find = <T extends HTMLElement>(selector: string) => host.querySelector(selector) as T;
const untilStatus = (text: string) => until(() => expect(find("[role=status]").textContent).toBe(text));
const alerts = () =>
  [...host.querySelectorAll("[role=alert]:not([hidden])")].map((it) => it.textContent).join("\n");
const chosen = () => [...host.querySelectorAll(".chatix-file-name")].map((it) => it.textContent);
const untilChosen = (...names: string[]) => until(() => expect(chosen()).toEqual(names));
const bar = () => find<HTMLProgressElement>("progress:not([hidden])");
const stored = () =>
  hub.messages.map(({ type, content, original_url, file_url }) =>
    type === 0
      ? content
      : String(original_url ?? file_url)
          .split("/")
          .at(-1),
  );

const file = (name: string, type = "text/plain") => new File(["content"], name, { type });

function choose(...files: File[]): void {
  const input = find<HTMLInputElement>("input[type=file]");
  vi.spyOn(input, "files", "get").mockReturnValue(files as unknown as FileList);
  input.dispatchEvent(new Event("change"));
}

function post(text: string): void {
  find<HTMLInputElement>("input[name=name]").value = "Robin";
  find<HTMLTextAreaElement>("textarea").value = text;
  find<HTMLFormElement>("form").dispatchEvent(new Event("submit", { cancelable: true }));
}

function cancel(name: string): void {
  find<HTMLButtonElement>(`button[aria-label="Cancel ${name}"]`).click();
}

describe.each(["hub", "hosted"])("in mode %s", (mode) => {
  beforeEach(() => {
    hub.joinAnswer = mode === "hub" ? { limits } : { mode, limits, ticket: null };
  });

  test("text goes first, then each file, to the room where they are chosen (Q1)", async () => {
    await openLive();
    choose(file("cat.png", "image/png"), file("notes.txt"));
    post("Look");
    await untilChosen();
    expect(stored()).toEqual(["Look", "cat.png", "notes.txt"]);
    expect(hub.uploads.map(({ url }) => url.searchParams.get("chatroomId"))).toEqual(["room-1", "room-1"]);
    expect(
      hub.callsOf("SaveChatroomMessage").map(([draft, room]) => [(draft as { type: number }).type, room]),
    ).toEqual([
      [0, "room-1"],
      [4, "room-1"],
      [5, "room-1"],
    ]);
    await until(() => expect(find(".chatix-post").textContent).toBe("Post comment"));
    expect(find<HTMLTextAreaElement>("textarea").value).toBe("");
    expect([...host.querySelectorAll(".chatix-author")].map((it) => it.textContent)).toEqual([
      "Robin",
      "Robin",
      "Robin",
    ]);
    expect(host.querySelector("article img")?.getAttribute("alt")).toBe("cat.png");
    expect(host.querySelector("article .chatix-file")?.textContent).toBe("notes.txt");
    expect(alerts()).toBe("");
  });

  test("what the hub refuses is named and stays chosen; the others are posted", async () => {
    await openLive();
    hub.uploaded = (upload) =>
      upload.file.name === "fake.png"
        ? { status: 415, body: { error: "This is not a PNG." } }
        : FakeHub.prototype.uploaded.call(hub, upload);
    choose(file("fake.png", "image/png"), file("forbidden"), file("notes.txt"));
    post("");
    await untilChosen("fake.png", "forbidden");
    await until(() =>
      expect(alerts()).toBe("fake.png: This is not a PNG.\nforbidden: This file cannot be posted."),
    );
    expect(stored()).toEqual(["notes.txt"]);
    find<HTMLButtonElement>("li button").click();
    expect(alerts()).toBe("");
    expect(find("progress").hidden).toBe(true);
  });

  test("an upload that breaks begins again when the line is back", async () => {
    await openLive();
    hub.holdsUploads = true;
    choose(file("notes.txt"));
    post("Look");
    await until(() => expect(hub.uploads).toHaveLength(1));
    hub.lastUpload.progress(0.5);
    expect([bar().value, bar().getAttribute("aria-label")]).toEqual([0.5, "Uploading notes.txt"]);
    hub.kill();
    await until(() => expect(find(".chatix-hint").hidden).toBe(false));
    expect(chosen()).toEqual(["notes.txt"]);
    hub.holdsUploads = false;
    hub.isDown = false;
    await untilChosen();
    expect(stored()).toEqual(["Look", "notes.txt"]);
    expect(alerts()).toBe("");
  });

  test("what is cancelled while the site takes its time is neither uploaded nor posted", async () => {
    await openLive();
    let release = () => {};
    hub.takePartGate = new Promise((resolve) => {
      release = resolve;
    });
    choose(file("a.txt"), file("b.txt"));
    post("");
    await until(() => expect(hub.requestsTo("/take-part")).toHaveLength(1));
    cancel("a.txt");
    await vi.advanceTimersByTimeAsync(100);
    release();
    await untilChosen();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(stored()).toEqual(["b.txt"]);
    expect(hub.uploads.map((upload) => upload.file.name)).toEqual(["b.txt"]);
    // Two requests at a time could make two guests of one reader.
    expect(hub.requestsTo("/take-part")).toHaveLength(1);
    expect(alerts()).toBe("");
  });

  test("what is cancelled as its upload ends is not posted", async () => {
    await openLive();
    hub.holdsUploads = true;
    choose(file("a.txt"), file("b.txt"));
    post("");
    await until(() => expect(hub.uploads).toHaveLength(1));
    hub.holdsUploads = false;
    hub.lastUpload.answer(hub.uploaded(hub.lastUpload));
    cancel("a.txt");
    await untilChosen();
    expect(stored()).toEqual(["b.txt"]);
    expect(alerts()).toBe("");
  });

  test("what is uploaded is not uploaded again, and is posted once", async () => {
    await openLive();
    hub.losesAnswers = true;
    choose(file("notes.txt"));
    post("");
    await until(() => expect(hub.messages).toHaveLength(1));
    hub.losesAnswers = false;
    await untilChosen();
    expect(hub.uploads).toHaveLength(1);
    expect(stored()).toEqual(["notes.txt"]);
    expect(host.querySelectorAll("article")).toHaveLength(1);
    expect(alerts()).toBe("");
  });
});

test("a file that came back and is posted again is the one that may have been stored", async () => {
  await openLive();
  hub.losesAnswers = true;
  choose(file("notes.txt"));
  post("");
  await until(() => expect(hub.messages).toHaveLength(1));
  hub.losesAnswers = false;
  hub.failures.push({ target: "SaveChatroomMessage", message: "The hub could not do this." });
  await until(() => expect(alerts()).toBe("notes.txt: The hub could not do this."));
  post("");
  await untilChosen();
  expect([stored(), hub.uploads.length]).toEqual([["notes.txt"], 1]);
});

test("files that wait when the site turns away are given back, with what to do", async () => {
  await openLive();
  hub.kill();
  await untilStatus("Reconnecting");
  choose(file("a.txt"), file("b.txt"));
  post("");
  hub.joinStatus = 400;
  hub.joinAnswer = { error: "bad_token", message: "Please reload the page." };
  const said = [
    "Please reload the page. Copy what you have written before you reload the page.",
    "Your comment was not posted. Please try again.",
  ];
  await until(() => expect(alerts()).toBe(said.join("\n")));
  expect(chosen()).toEqual(["a.txt", "b.txt"]);
  expect([find("form").hidden, find("progress").hidden]).toEqual([false, true]);
});

test("on the hosted service the reader is asked about a file that may have arrived", async () => {
  hub.joinAnswer = { mode: "hosted", limits, ticket: null };
  await openLive();
  hub.losesAnswers = true;
  choose(file("notes.txt"), file("more.txt"));
  post("");
  await until(() => expect(hub.messages).toHaveLength(1));
  hub.losesAnswers = false;
  hub.messages.length = 0;
  await until(() =>
    expect(alerts()).toBe("notes.txt: The connection broke before this file arrived. Post it again?"),
  );
  await untilChosen("notes.txt");
  expect(stored()).toEqual(["more.txt"]);
});

describe("uploads", () => {
  async function uploading(...files: File[]): Promise<void> {
    await openLive();
    hub.holdsUploads = true;
    choose(...files);
    post("");
    await until(() => expect(hub.uploads).toHaveLength(1));
  }

  test("are cancelled by their button, and the next one goes on", async () => {
    await uploading(file("a.txt"), file("b.txt"));
    hub.holdsUploads = false;
    const [cancel] = host.querySelectorAll<HTMLButtonElement>("li button");
    expect(cancel?.getAttribute("aria-label")).toBe("Cancel a.txt");
    cancel?.click();
    expect(hub.uploads[0]?.isOver).toBe(true);
    await untilChosen();
    expect(stored()).toEqual(["b.txt"]);
    await until(() => expect(find(".chatix-post").textContent).toBe("Post comment"));
  });

  test("stop with the page, and begin again when it comes back", async () => {
    await uploading(file("a.txt"));
    section.depart();
    expect(hub.uploads[0]?.isOver).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(hub.uploads).toHaveLength(1);
    hub.holdsUploads = false;
    section.start();
    await untilChosen();
    expect(stored()).toEqual(["a.txt"]);
  });

  test("that outlive their line are posted over the next one", async () => {
    await uploading(file("a.txt"));
    hub.cut();
    await untilStatus("Reconnecting");
    hub.lastUpload.answer(hub.uploaded(hub.lastUpload));
    await untilChosen();
    expect([stored(), hub.uploads.length]).toEqual([["a.txt"], 1]);
  });

  test("that break again and again while the line is well are given back", async () => {
    await uploading(file("a.txt"));
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await until(() => expect(hub.uploads).toHaveLength(attempt));
      hub.lastUpload.lose();
    }
    await until(() => expect(alerts()).toBe("a.txt: This file could not be uploaded. Please try again."));
    expect(chosen()).toEqual(["a.txt"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hub.uploads).toHaveLength(3);
  });

  test.each([
    [413, "<h1>Request Entity Too Large</h1>", "a.txt: The server does not take files of this size."],
    [404, "", "a.txt: This file could not be uploaded. Please try again."],
    [507, { error: "There is no room for files." }, "a.txt: There is no room for files."],
    [200, "<h1>Welcome</h1>", "a.txt: This file could not be uploaded. Please try again."],
  ])("that are answered %i %j are given back with the reason", async (status, body, reason) => {
    await uploading(file("a.txt"));
    hub.lastUpload.answer({ status, body });
    await until(() => expect(alerts()).toBe(reason));
    expect(hub.uploads).toHaveLength(1);
  });

  test("that a proxy answers for a hub which is not there are tried again", async () => {
    await uploading(file("a.txt"));
    hub.holdsUploads = false;
    hub.lastUpload.answer({ status: 502, body: "<h1>Bad gateway</h1>" });
    await untilChosen();
    expect(stored()).toEqual(["a.txt"]);
  });

  test("whose ticket is too old get a new one with a new line", async () => {
    await uploading(file("a.txt"));
    hub.holdsUploads = false;
    hub.lastUpload.answer({ status: 401, body: { error: "The visitor's id is not accepted." } });
    await untilChosen();
    expect(hub.uploads.map(({ url }) => url.searchParams.get("visitorId"))).toEqual(["ticket-1", "ticket-2"]);
    expect(stored()).toEqual(["a.txt"]);
    expect(alerts()).toBe("");
  });
});

describe("by a widget's SDK object", () => {
  let core: FakeCore;

  beforeEach(() => {
    core = new FakeCore("local");
    putOnPage(core);
    hub.joinAnswer = { mode: "hosted", sdk: "widget", ticket: null, limits };
  });

  const posted = () => core.posted.mock.calls.map(([draft]) => String(draft.file_url).split("/").at(-1));
  const attaching = () => find(".chatix-attach");

  test("how far it is cannot be told; what is cancelled meanwhile is not posted, whatever the widget does", async () => {
    await openLive();
    const answers: ((drafts: Record<string, unknown>[]) => void)[] = [];
    core.uploaded.mockImplementationOnce(() => new Promise((resolve) => answers.push(resolve)));
    choose(file("a.txt"), file("b.txt"));
    post("");
    await until(() => expect(answers).toHaveLength(1));
    expect(find("progress[aria-label='Uploading a.txt']").hasAttribute("value")).toBe(false);
    expect(find<HTMLProgressElement>("progress[aria-label='Uploading b.txt']").value).toBe(0);
    cancel("a.txt");
    answers[0]?.([fileMessage("", "a.txt")]);
    await untilChosen();
    expect(posted()).toEqual(["b.txt"]);
    expect(alerts()).toBe("");
  });

  test("what is cancelled while the widget sets the name is not uploaded", async () => {
    await openLive();
    let named = () => {};
    core.setName.mockImplementationOnce(() => new Promise((resolve) => (named = resolve)));
    choose(file("a.txt"), file("b.txt"));
    post("");
    await until(() => expect(core.setName).toHaveBeenCalledOnce());
    cancel("a.txt");
    named();
    await untilChosen();
    expect(core.uploaded.mock.calls.map(([{ name }]) => name)).toEqual(["b.txt"]);
    expect(posted()).toEqual(["b.txt"]);
  });

  test("an upload that the widget never ends is given back after its time, and the form is free", async () => {
    await openLive();
    core.uploaded.mockReturnValueOnce(new Promise(() => {}));
    choose(file("a.txt"));
    post("");
    await until(() => expect(core.uploaded).toHaveBeenCalledOnce());
    await vi.advanceTimersByTimeAsync(119_000);
    expect(alerts()).toBe("");
    await until(() => expect(alerts()).toBe("a.txt: This file could not be uploaded. Please try again."));
    expect(chosen()).toEqual(["a.txt"]);
    post("");
    await untilChosen();
    expect(posted()).toEqual(["a.txt"]);
  });

  test("a large file has more time", async () => {
    hub.joinAnswer = { ...hub.joinAnswer, limits: { ...limits, file_bytes: 10_000_000 } };
    await openLive();
    core.uploaded.mockReturnValueOnce(new Promise(() => {}));
    choose(new File([new Uint8Array(64 * 1024 * 100)], "a.bin"));
    post("");
    await until(() => expect(core.uploaded).toHaveBeenCalledOnce());
    await vi.advanceTimersByTimeAsync(219_000);
    expect(alerts()).toBe("");
    await until(() => expect(alerts()).not.toBe(""), 2_000);
  });

  test("an upload ends with the widget's line, and begins again with the next one", async () => {
    await openLive();
    core.uploaded.mockReturnValueOnce(new Promise(() => {}));
    choose(file("a.txt"));
    post("");
    await until(() => expect(core.uploaded).toHaveBeenCalledOnce());
    core.hub?.close();
    await until(() => expect(find(".chatix-hint").hidden).toBe(false));
    await untilChosen();
    expect(core.uploaded).toHaveBeenCalledTimes(2);
    expect(posted()).toEqual(["a.txt"]);
    expect(alerts()).toBe("");
  });

  test("files are offered once the widget is there", async () => {
    putOnPage(undefined);
    open();
    await until(() => expect(find("form").hidden).toBe(false));
    expect(attaching().hidden).toBe(true);
    putOnPage(core);
    await untilStatus("Live");
    expect(attaching().hidden).toBe(false);
    core.hub?.close();
    await untilStatus("Reconnecting");
    expect(attaching().hidden).toBe(false);
  });

  test("files are not offered where the widget hides its connection: they cannot be taken", async () => {
    core.chat = undefined;
    await openLive();
    expect(attaching().hidden).toBe(true);
    post("Only words");
    await until(() => expect(core.sendChatroomTextMessage).toHaveBeenCalledOnce());
    expect(attaching().hidden).toBe(true);
  });
});

test("a name that the site refuses is said at the name, and no file is sent", async () => {
  hub.takePartStatus = 422;
  hub.takePartAnswer = { error: "bad_name", message: "This name is taken by the author." };
  await openLive();
  choose(file("a.txt"), file("b.txt"));
  post("");
  await until(() => expect(alerts()).toBe("This name is taken by the author."));
  expect(chosen()).toEqual(["a.txt", "b.txt"]);
  expect(hub.uploads).toEqual([]);
});

test("a thread that is closed keeps the chosen files on the page", async () => {
  await openLive();
  choose(file("a.txt"));
  hub.tell("OnUpdateChatroom", [{ id: "room-1", title: "t", managers: [], is_closed: true }]);
  await until(() => expect(host.textContent).toContain("Comments are closed."));
  expect(find("form").hidden).toBe(false);
});
