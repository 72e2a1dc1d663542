import { beforeEach, describe, expect, test, vi } from "vitest";
import { Attachments } from "../../browser/attachments";
import { CommentForm } from "../../browser/comment-form";
import type { FileLimits } from "../../browser/limits";

const limits: FileLimits = { most: 3, bytes: 1000, pixels: 100, types: ["text/plain", "image/png"] };

let form: HTMLElement;
let attachments: Attachments;
let reasons: string[];
let withdrawn: string[];
let retried: string[];
let changes: number;
let counts: number[];

beforeEach(() => {
  const whole = new CommentForm();
  form = whole.element;
  reasons = [];
  withdrawn = [];
  retried = [];
  changes = 0;
  counts = [];
  attachments = new Attachments(whole, {
    changed: () => {
      changes += 1;
    },
    counted: (count) => counts.push(count),
    refused: (said) => reasons.push(...said),
    withdrawn: (file) => withdrawn.push(file.name),
    retried: (file) => retried.push(file.name),
  });
  attachments.limits = limits;
  form.append(attachments.list);
  document.body.replaceChildren(form);
});

const text = (name: string, content = "text", type = "text/plain") => new File([content], name, { type });

/** A picture of which no more than the head is there. */
function png(name: string, width: number, height: number): File {
  const head = new DataView(new ArrayBuffer(40));
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a].forEach((byte, index) => {
    head.setUint8(index, byte);
  });
  head.setUint32(16, width);
  head.setUint32(20, height);
  return new File([head.buffer], name, { type: "image/png" });
}

const names = () => attachments.files.map(({ name }) => name);
const rows = () => [...attachments.list.querySelectorAll("li")];
const buttons = () => [...attachments.list.querySelectorAll("button")];
const input = () => form.querySelector("input[type=file]") as HTMLInputElement;
const bars = () => [...attachments.list.querySelectorAll("progress")];

describe("limits", () => {
  test("are said beside the control, which the label names and the limits describe", () => {
    const hint = form.querySelector(".chatix-limits");
    expect(hint?.textContent).toBe(
      "Up to 3 files. Each up to 1,000 B. Images up to 100 pixels. Types: text, PNG.",
    );
    expect(input().getAttribute("aria-describedby")).toBe(hint?.id);
    expect(input().closest("label")?.textContent).toBe("Attach files");
    expect([input().type, input().multiple, input().accept]).toEqual(["file", true, "text/plain,image/png"]);
  });

  test("that nobody set are not spoken of", () => {
    attachments.limits = { most: 1, bytes: null, pixels: null, types: null };
    expect(form.querySelector(".chatix-limits")?.textContent).toBe("Up to 1 file.");
    expect(input().accept).toBe("");
    attachments.take([text("any.xyz", "x".repeat(5000), "chemical/x-xyz")]);
    expect(reasons).toEqual([]);
  });

  test("that are broken are told by the name of each file; the others are taken", () => {
    attachments.take([
      text("one.txt"),
      text("big.txt", "x".repeat(1001)),
      text("page.html", "<p>", "text/html"),
      text("empty.txt", ""),
      text("unknown", "text", ""),
      text("three.txt"),
      text("four.txt"),
      text("five.txt"),
    ]);
    expect(names()).toEqual(["one.txt", "unknown", "three.txt"]);
    expect(reasons).toEqual([
      "big.txt is too large: a file has up to 1,000 B.",
      "page.html is of another type than what can be attached: text, PNG.",
      "empty.txt is empty.",
      "A comment takes up to 3 files. Not attached: four.txt, five.txt.",
    ]);
    expect(withdrawn).toEqual([]);
  });

  test("of pixels are read from the picture", async () => {
    attachments.take([png("small.png", 10, 10), png("wide.png", 101, 1)]);
    await vi.waitFor(() => expect(names()).toEqual(["small.png"]));
    expect(reasons).toEqual(["wide.png is too large: it has 101 × 1 pixels, an image has up to 100 pixels."]);
    // It might have been on its way by then.
    expect(withdrawn).toEqual(["wide.png"]);
  });

  test("of sides hold, however few pixels there are; where nobody set a limit there is none", async () => {
    const files = [png("long.png", 32_769, 1), png("high.png", 1, 32_769), png("most.png", 32_768, 1)];
    attachments.limits = { ...limits, pixels: 40_000 };
    attachments.take(files);
    await vi.waitFor(() => expect(names()).toEqual(["most.png"]));
    expect(reasons).toEqual([
      "long.png is too large: it has 32,769 × 1 pixels, an image is up to 32,768 wide and high.",
      "high.png is too large: it has 1 × 32,769 pixels, an image is up to 32,768 wide and high.",
    ]);
    attachments.limits = { ...limits, pixels: null };
    attachments.take(files.slice(0, 2));
    await new Promise((resolve) => setTimeout(resolve));
    expect(names()).toEqual(["most.png", "long.png", "high.png"]);
  });

  test("of what can be read", async () => {
    const folder = text("folder");
    folder.slice = () =>
      ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError")) }) as Blob;
    attachments.take([folder]);
    await vi.waitFor(() => expect(names()).toEqual([]));
    expect(reasons).toEqual(["folder cannot be read."]);
  });

  test("are no matter of a file that was removed meanwhile", async () => {
    attachments.take([png("wide.png", 101, 1)]);
    buttons()[0]?.click();
    await new Promise((resolve) => setTimeout(resolve));
    expect(reasons).toEqual([]);
    expect(withdrawn).toEqual(["wide.png"]);
  });
});

describe("the list", () => {
  test("shows name and size, and the extension where there is no picture", () => {
    expect(attachments.list.hidden).toBe(true);
    attachments.take([text("Notes <b>.txt", "x".repeat(512)), text("README", "x", "")]);
    expect(attachments.list.hidden).toBe(false);
    const parts = [".chatix-preview", ".chatix-file-name", ".chatix-size"];
    expect(rows().map((row) => parts.map((part) => row.querySelector(part)?.textContent))).toEqual([
      ["TXT", "Notes <b>.txt", "512 B"],
      ["", "README", "1 B"],
    ]);
  });

  test("has a picture of a picture, drawn and not addressed", async () => {
    const bitmap = { width: 96, height: 72 };
    const drawn = vi.fn();
    vi.stubGlobal("createImageBitmap", async () => bitmap);
    vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue({
      transferFromImageBitmap: drawn,
    } as never);
    attachments.take([png("small.png", 10, 10)]);
    await vi.waitFor(() => expect(drawn).toHaveBeenCalledWith(bitmap));
    expect(rows()[0]?.querySelector("canvas")?.width).toBe(96);
    expect(attachments.list.querySelector("img")).toBeNull();
  });

  test("has the extension of a picture that cannot be drawn", async () => {
    const decode = vi.fn(() => Promise.reject(new DOMException("", "InvalidStateError")));
    vi.stubGlobal("createImageBitmap", decode);
    attachments.take([png("broken.png", 10, 10)]);
    await vi.waitFor(() => expect(decode).toHaveBeenCalled());
    await Promise.resolve();
    expect(rows()[0]?.firstElementChild?.textContent).toBe("PNG");
    expect(names()).toEqual(["broken.png"]);
  });

  test("does not decode what is huge", async () => {
    const decode = vi.fn();
    vi.stubGlobal("createImageBitmap", decode);
    attachments.limits = { ...limits, pixels: null };
    attachments.take([png("huge.png", 10_000, 10_000), png("small.png", 10, 10)]);
    await vi.waitFor(() => expect(decode).toHaveBeenCalledOnce());
  });

  test("keeps the keyboard when something is removed", () => {
    attachments.take([text("a.txt"), text("b.txt"), text("c.txt")]);
    expect(buttons().map((it) => [it.textContent, it.getAttribute("aria-label")])).toEqual([
      ["Remove", "Remove a.txt"],
      ["Remove", "Remove b.txt"],
      ["Remove", "Remove c.txt"],
    ]);
    for (const [removed, next] of [
      [1, "Remove c.txt"],
      [1, "Remove a.txt"],
    ] as const) {
      buttons()[removed]?.focus();
      buttons()[removed]?.click();
      expect(document.activeElement?.getAttribute("aria-label")).toBe(next);
    }
    buttons()[0]?.click();
    expect(document.activeElement).toBe(input());
    expect([names(), attachments.list.hidden, withdrawn]).toEqual([[], true, ["b.txt", "c.txt", "a.txt"]]);
    expect(counts).toEqual([1, 2, 3, 2, 1, 0]);
  });

  test("leaves the keyboard alone when it is elsewhere", () => {
    const [a] = [text("a.txt")];
    attachments.take([a]);
    attachments.remove(a);
    attachments.remove(a);
    expect(document.activeElement).toBe(document.body);
    expect(withdrawn).toEqual([]);
  });

  test("tells what is under way, how far it is, and offers to cancel that", () => {
    const [a, b] = [text("a.txt"), text("b.txt")];
    attachments.take([a, b]);
    expect(bars().map((it) => it.hidden)).toEqual([true, true]);
    attachments.show(new Set([a]));
    attachments.showProgress(a, 0.5);
    attachments.showProgress(text("gone.txt"), 0.5);
    expect(bars().map((it) => [it.hidden, it.value, it.getAttribute("aria-label")])).toEqual([
      [false, 0.5, "Uploading a.txt"],
      [true, 0, "Uploading b.txt"],
    ]);
    expect(buttons().map((it) => it.getAttribute("aria-label"))).toEqual(["Cancel a.txt", "Remove b.txt"]);
    attachments.take([text("c.txt")]);
    expect(bars().map((it) => it.hidden)).toEqual([false, true, true]);
    attachments.show(new Set());
    expect(bars()[0]?.value).toBe(0);
  });
});

describe("the ways in", () => {
  test("choosing, and the same file again", () => {
    const file = text("a.txt");
    const value = vi.spyOn(input(), "value", "set");
    vi.spyOn(input(), "files", "get").mockReturnValue([file] as unknown as FileList);
    input().dispatchEvent(new Event("change"));
    expect([names(), changes]).toEqual([["a.txt"], 1]);
    expect(value).toHaveBeenCalledWith("");
  });

  function send(
    type: string,
    data: object,
    name = type === "paste" ? "clipboardData" : "dataTransfer",
  ): boolean {
    const event = Object.assign(new Event(type, { bubbles: true, cancelable: true }), { [name]: data });
    return form.dispatchEvent(event);
  }

  const clipboard = (files: File[], copied = "") => ({ files, getData: () => copied });

  test("pasting", () => {
    expect(send("paste", clipboard([text("a.txt")]))).toBe(false);
    expect(send("paste", clipboard([text("b.txt"), text("c.txt")], "b.txt\nc.txt"))).toBe(false);
    expect(names()).toEqual(["a.txt", "b.txt", "c.txt"]);
  });

  test("pasting text stays pasting text, with a picture of it or without", () => {
    expect(send("paste", clipboard([], "words"))).toBe(true);
    expect(send("paste", clipboard([text("picture.txt")], "words"))).toBe(true);
    expect(send("paste", clipboard([]))).toBe(true);
    expect(names()).toEqual([]);
  });

  test("dropping, where the form shows that it takes files", () => {
    const data = { files: [text("a.txt")], types: ["Files"] };
    expect(send("dragover", data)).toBe(false);
    expect(form.className).toBe("chatix-form chatix-dropping");
    expect(send("drop", data)).toBe(false);
    expect([form.className, names()]).toEqual(["chatix-form", ["a.txt"]]);
    send("dragover", data);
    form.dispatchEvent(new Event("dragleave"));
    expect(form.className).toBe("chatix-form");
  });

  test("dropping text is the browser's", () => {
    const data = { files: [], types: ["text/plain"] };
    expect([send("dragover", data), send("drop", data)]).toEqual([true, true]);
  });

  test("are shut where nothing can be attached", () => {
    attachments.limits = null;
    expect(form.querySelector<HTMLElement>(".chatix-attach")?.hidden).toBe(true);
    const data = { files: [text("a.txt")], types: ["Files"] };
    expect([send("dragover", data), send("drop", data), send("paste", clipboard(data.files))]).toEqual([
      true,
      true,
      true,
    ]);
    expect([names(), reasons, changes]).toEqual([[], [], 0]);
  });
});

test("a file that was not posted can be tried again, until it is under way", () => {
  const file = text("a.txt");
  attachments.take([file]);
  attachments.offerAgain(file);
  attachments.offerAgain(file);
  const again = [...form.querySelectorAll("button")].filter((it) => it.textContent === "Try again");
  expect(again.map((it) => it.getAttribute("aria-label"))).toEqual(["Try again: a.txt"]);
  again[0]?.focus();
  again[0]?.click();
  expect(retried).toEqual(["a.txt"]);
  attachments.show(new Set([file]));
  expect([...form.querySelectorAll("li button")].map((it) => it.textContent)).toEqual(["Cancel"]);
  expect(document.activeElement?.textContent).toBe("Cancel");
});
