import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Access, Visitor } from "../../browser/site";
import { ThreadState } from "../../browser/thread-state";
import { Writer } from "../../browser/writer";
import * as writing from "../../browser/writing";

const part = vi.hoisted(() => ({ load: vi.fn(), loaded: null as unknown }));
vi.mock("../../browser/load-writing", () => {
  const load = () => part.load();
  Object.defineProperty(load, "loaded", { get: () => part.loaded });
  return { loadWriting: load };
});

const guest: Visitor = { id: "me", name: null, isManager: false, isSignedIn: false, isPersistent: false };
const limits = { message_chars: 100, name_chars: 20, files: 2 };
const access = { mode: "hub", websiteId: "w", chatroomId: "r" } as Access;
const notes = new File(["notes"], "notes.txt", { type: "text/plain" });

let writer: Writer;
let line: object | null;
let come: () => Promise<void>;
let fail: () => Promise<void>;

/** Whatever is promised by now is kept. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  localStorage.clear();
  line = null;
  part.loaded = null;
  part.load.mockReset();
  part.load.mockImplementation(() => {
    return new Promise((resolve, reject) => {
      come = async () => {
        part.loaded = writing;
        resolve(writing);
        await settled();
      };
      fail = async () => {
        reject(new TypeError("Failed to fetch"));
        await settled();
      };
    });
  });
  writer = new Writer({
    liveChat: () => line as never,
    visitor: () => guest,
    state: () => new ThreadState(),
    takePart: vi.fn(),
    posted: vi.fn(),
    edited: vi.fn(),
    removed: vi.fn(),
    equip: vi.fn(),
  });
  writer.form.setVisitor(guest, limits);
  document.body.replaceChildren(writer.form.element);
  writer.start();
  writer.open(access, guest);
});

afterEach(() => writer.stop());

const find = (selector: string) => writer.form.element.querySelector<HTMLElement>(selector);
const error = () => find(".chatix-error:not([hidden])")?.textContent ?? null;
const note = () => find(".chatix-note")?.textContent ?? null;
const hint = () => find(".chatix-hint:not([hidden])")?.textContent ?? null;
const rows = () =>
  [...writer.form.element.querySelectorAll("li .chatix-file-name")].map((it) => it.textContent);

function type(text: string): void {
  writer.form.text.value = text;
  writer.form.text.dispatchEvent(new Event("input", { bubbles: true }));
}

function post(): Event {
  const event = new Event("submit", { cancelable: true });
  writer.form.element.dispatchEvent(event);
  return event;
}

function bring(kind: string, types = ["Files"]): Event {
  const data = new DataTransfer();
  const files = kind === "dragover" ? [] : [notes];
  Object.defineProperties(data, { files: { value: files }, types: { value: types } });
  const event = new Event(kind, { bubbles: true, cancelable: true });
  Object.assign(event, { dataTransfer: data, clipboardData: data });
  writer.form.text.dispatchEvent(event);
  return event;
}

describe("what it takes to write", () => {
  test("is not asked for by who only reads", async () => {
    writer.settle();
    writer.setManager(false);
    writer.open(access, guest);
    await settled();
    expect(part.load).not.toHaveBeenCalled();
    expect([writer.hasContent, writer.isAtWork]).toEqual([false, false]);
  });

  test.each([
    ["the form has the focus", () => writer.form.text.dispatchEvent(new Event("focusin", { bubbles: true }))],
    ["something is typed", () => type("a")],
    ["the button is pressed", () => post()],
    ["a file is chosen", () => writer.form.files.dispatchEvent(new Event("change"))],
    ["a file is about to be dropped", () => bring("dragover")],
    ["the reader is a manager", () => writer.setManager(true)],
    ["the reader has taken part", () => writer.open(access, { ...guest, isPersistent: true })],
    [
      "this browser keeps a text",
      () => {
        localStorage.setItem("chatix-comments:text:draft:hub:w:other", "{}");
        writer.open(access, guest);
      },
    ],
  ])("is asked for when %s", (_, act) => {
    act();
    expect(part.load).toHaveBeenCalled();
  });

  test("is there at once for the second section of a page", () => {
    part.loaded = writing;
    writer.start();
    expect(find(".chatix-limits")?.textContent).toContain("Up to 2 files");
    expect(part.load).not.toHaveBeenCalled();
  });
});

describe("until it is there", () => {
  test("what is typed stays, caret and all, and nobody is sent elsewhere by the button", async () => {
    const { text } = writer.form;
    text.focus();
    type("Half a thought");
    text.setSelectionRange(4, 4);
    await come();
    expect([text.value, text.selectionStart, document.activeElement]).toEqual(["Half a thought", 4, text]);
    expect(post().defaultPrevented).toBe(true);
  });

  test("what is posted goes when it comes, once", async () => {
    writer.form.name.value = "Robin";
    type("Hello");
    expect(post().defaultPrevented).toBe(true);
    post();
    await come();
    expect(writer.isAtWork).toBe(true);
    expect(hint()).toMatch(/^Not posted yet/);
    expect(writer.form.text.value).toBe("Hello");
  });

  test("what cannot be posted is said when it comes", async () => {
    type("Hello");
    post();
    await come();
    expect(error()).toMatch(/^Please give a name/);
    expect(writer.isAtWork).toBe(false);
  });

  test.each(["drop", "paste"])("files that come by %s are held, and the page stays", async (kind) => {
    const held: unknown[] = [];
    Object.defineProperty(writer.form.files, "files", { get: () => held, set: (list) => held.push(...list) });
    expect(bring("dragover").defaultPrevented).toBe(true);
    expect(bring(kind).defaultPrevented).toBe(true);
    await come();
    expect(rows()).toEqual(["notes.txt"]);
  });

  test.each(["drop", "paste"])(
    "text that comes by %s is the browser's, and a picture of it is none",
    (kind) => {
      expect(bring(kind, ["text/plain"]).defaultPrevented).toBe(false);
      expect(bring(kind, ["text/plain", "Files"]).defaultPrevented).toBe(false);
    },
  );
});

describe("what does not come", () => {
  test("while the reader has posted is asked for again when the line is back, and then it goes, once", async () => {
    writer.form.name.value = "Robin";
    type("Hello");
    post();
    await fail();
    expect(note()).toMatch(/^Not posted yet/);
    expect([writer.form.text.value, writer.form.text.readOnly, writer.isAtWork]).toEqual([
      "Hello",
      true,
      false,
    ]);
    writer.settle();
    await come();
    expect([writer.isAtWork, note(), hint()?.startsWith("Not posted yet")]).toEqual([true, null, true]);
  });

  test("and what is wrong with the comment is said then, and can be mended", async () => {
    type("Hello");
    post();
    await fail();
    writer.settle();
    await come();
    expect(error()).toMatch(/^Please give a name/);
    expect([writer.form.text.readOnly, writer.form.button.getAttribute("aria-disabled")]).toEqual([
      false,
      "false",
    ]);
  });

  test("while the reader has chosen files is said, and they are taken when it does", async () => {
    const held: unknown[] = [];
    Object.defineProperty(writer.form.files, "files", { get: () => held, set: (list) => held.push(...list) });
    bring("drop");
    await fail();
    expect(note()).toMatch(/could not be loaded/);
    writer.settle();
    await come();
    expect([note(), rows()]).toEqual([null, ["notes.txt"]]);
  });

  test("though the line is there may have gone from the site: the reader is told what to do, and may try", async () => {
    line = {};
    writer.form.name.value = "Robin";
    type("Hello");
    post();
    await fail();
    expect(note()).toMatch(/could not be loaded.*Copy what you have written before you reload the page/);
    expect([writer.form.text.readOnly, writer.form.text.value]).toEqual([false, "Hello"]);
    line = null;
    post();
    await come();
    expect([note(), writer.isAtWork]).toEqual([null, true]);
  });

  test("and what was posted is the reader's again when there is nothing to post to", async () => {
    writer.form.name.value = "Robin";
    type("Hello");
    post();
    await fail();
    writer.giveBack(null);
    expect([note(), writer.form.text.readOnly, writer.form.text.value]).toEqual([null, false, "Hello"]);
    writer.settle();
    await come();
    expect([writer.isAtWork, writer.form.text.value]).toEqual([false, "Hello"]);
  });

  test("nor does anything begin on a page that has gone meanwhile, until it is back", async () => {
    type("Hello");
    writer.stop();
    await come();
    expect(find(".chatix-limits")).toBeNull();
    writer.start();
    expect(find(".chatix-limits")).not.toBeNull();
  });

  test("is no news to who has only begun, and not asked for with each character", async () => {
    type("a");
    await fail();
    type("ab");
    type("abc");
    expect([note(), part.load.mock.calls.length]).toEqual([null, 1]);
  });

  test("is asked for again when the line is back", async () => {
    type("a");
    await fail();
    writer.settle();
    expect(part.load).toHaveBeenCalledTimes(2);
  });
});
