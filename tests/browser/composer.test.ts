import { beforeEach, describe, expect, test, vi } from "vitest";
import { CommentForm } from "../../browser/comment-form";
import { Composer } from "../../browser/composer";
import type { Draft, Pending } from "../../browser/outbox";
import type { Visitor } from "../../browser/site";

const guest: Visitor = { id: "me", name: null, isManager: false, isSignedIn: false, isPersistent: false };
const limits = {
  message_chars: 10,
  name_chars: 20,
  files: 2,
  file_bytes: 10,
  image_pixels: 100,
  file_types: ["text/plain", "image/png"],
};

let drafts: Draft[];
let withdrawn: File[];
let form: CommentForm;
let composer: Composer;

beforeEach(() => {
  drafts = [];
  withdrawn = [];
  form = new CommentForm();
  composer = new Composer(
    form,
    (draft) => drafts.push(draft),
    (file) => withdrawn.push(file),
  );
  form.setVisitor(guest, limits);
  document.body.replaceChildren(composer.element);
});

const find = <T extends Element>(selector: string) => composer.element.querySelector(selector) as T;
const nameBox = () => find<HTMLInputElement>("input");
const textBox = () => find<HTMLTextAreaElement>("textarea");

function type(text: string, name?: string): void {
  if (name !== undefined) nameBox().value = name;
  textBox().value = text;
  textBox().dispatchEvent(new Event("input", { bubbles: true }));
}

const press = (init: KeyboardEventInit) =>
  textBox().dispatchEvent(
    new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init }),
  );

describe("labels", () => {
  test("name the boxes as the tests and screen readers know them", () => {
    const labels = [...composer.element.querySelectorAll("label")].map((it) => [
      it.textContent,
      it.querySelector("input, textarea")?.tagName,
    ]);
    expect(labels).toEqual([
      ["Name", "INPUT"],
      ["Write a comment", "TEXTAREA"],
      ["Whisper: only managers will see this", "INPUT"],
      ["Attach files", "INPUT"],
    ]);
    expect(find("button").textContent).toBe("Post comment");
  });
});

describe("the keyboard", () => {
  test("Ctrl or Command with Enter posts; Enter alone, or in the middle of a composition, does not", () => {
    type("Hi", "Robin");
    press({});
    press({ ctrlKey: true, isComposing: true });
    expect(drafts).toEqual([]);
    press({ ctrlKey: true });
    press({ metaKey: true });
    expect(drafts).toEqual([
      { text: "Hi", files: [], isWhisper: false, name: "Robin" },
      { text: "Hi", files: [], isWhisper: false, name: "Robin" },
    ]);
  });
});

describe("the name", () => {
  test("that the site remembers fills an empty field, and not what the reader types", () => {
    form.setVisitor({ ...guest, name: "Robin", isPersistent: true }, limits);
    expect(nameBox().value).toBe("Robin");
    nameBox().value = "Rob";
    form.setVisitor({ ...guest, name: "Robin", isPersistent: true }, limits);
    expect(nameBox().value).toBe("Rob");
    type("Hi");
    press({ ctrlKey: true });
    nameBox().value = "Robin";
    press({ ctrlKey: true });
    expect(drafts.map((draft) => draft.name)).toEqual(["Rob", null]);
  });
});

describe("length", () => {
  test("counts characters as the hub does, and tells when few are left", () => {
    const counter = find<HTMLElement>(".chatix-counter");
    type("12345678");
    expect(counter.hidden).toBe(true);
    type("123456789");
    expect(counter.hidden).toBe(false);
    expect(counter.textContent).toBe("1 character left");
    type("👍".repeat(10), "Robin");
    expect(counter.classList.contains("chatix-over")).toBe(false);
    press({ ctrlKey: true });
    expect(drafts).toHaveLength(1);
    type("👍".repeat(11));
    expect(counter.textContent).toBe("1 character too many");
    expect(counter.classList.contains("chatix-over")).toBe(true);
  });
});

describe("files", () => {
  const notes = new File(["notes"], "notes.txt", { type: "text/plain" });
  const more = new File(["more"], "more.txt", { type: "text/plain" });
  const fileBox = () => find<HTMLInputElement>("input[type=file]");
  const error = () => (find<HTMLElement>(".chatix-error").hidden ? null : find(".chatix-error").textContent);
  const removals = () => [...composer.element.querySelectorAll<HTMLButtonElement>("li button")];
  const pending = (file: File | null): Pending => ({
    text: "",
    file,
    isWhisper: false,
    name: null,
    clientKey: "k",
    mayHaveArrived: false,
  });

  function choose(...files: File[]): void {
    vi.spyOn(fileBox(), "files", "get").mockReturnValue(files as unknown as FileList);
    fileBox().dispatchEvent(new Event("change"));
  }

  test("are posted with the text or without, under the guest's name", () => {
    choose(notes, more);
    type("", "");
    press({ ctrlKey: true });
    expect(error()).toBe("Please give a name: it is shown beside your comment.");
    type("", "Robin");
    press({ ctrlKey: true });
    type("Hi", "Robin");
    press({ ctrlKey: true });
    expect(drafts).toEqual([
      { text: "", files: [notes, more], isWhisper: false, name: "Robin" },
      { text: "Hi", files: [notes, more], isWhisper: false, name: "Robin" },
    ]);
    expect(composer.hasContent).toBe(true);
  });

  test("each go when they are in the thread, and the text when it is", () => {
    choose(notes, more);
    type("Hi", "Robin");
    composer.show({ kind: "sending", items: [pending(null), pending(notes), pending(more)] });
    expect([textBox().readOnly, nameBox().readOnly]).toEqual([true, true]);
    composer.clear(pending(null));
    composer.show({ kind: "sending", items: [pending(notes), pending(more)] });
    // The next comment may be written while the files of this one go out, but not posted yet.
    expect([textBox().value, textBox().readOnly]).toEqual(["", false]);
    type("Next");
    press({ ctrlKey: true });
    expect(drafts).toEqual([]);
    composer.clear(pending(notes));
    composer.clear(pending(more));
    composer.show({ kind: "empty", items: [] });
    expect(textBox().value).toBe("Next");
    press({ ctrlKey: true });
    expect(drafts).toEqual([{ text: "Next", files: [], isWhisper: false, name: "Robin" }]);
  });

  test("that break a limit are named, until the reader chooses or removes something", () => {
    choose(new File(["much too long"], "big.txt", { type: "text/plain" }), new File([], "empty.txt"), notes);
    expect(error()).toBe("big.txt is too large: a file has up to 10 B.\nempty.txt is empty.");
    choose(more);
    expect(error()).toBeNull();
    choose(new File(["x"], "third.txt"));
    expect(error()).toBe("A comment takes up to 2 files. Not attached: third.txt.");
    removals()[1]?.click();
    expect(error()).toBeNull();
    expect(withdrawn).toEqual([more]);
  });

  test("that come back are all named", () => {
    composer.fail("a.png: no", "files");
    composer.fail("b.png: no", "files");
    expect(error()).toBe("a.png: no\nb.png: no");
  });

  test("cannot be chosen where nothing can be posted, nor where the site takes none", () => {
    const control = find<HTMLElement>(".chatix-attach");
    expect(control.hidden).toBe(false);
    form.mayPost = false;
    expect(control.hidden).toBe(true);
    choose(notes);
    expect(composer.hasContent).toBe(false);
    form.mayPost = true;
    expect(control.hidden).toBe(false);
    form.setVisitor(guest, { ...limits, files: 0 });
    expect(control.hidden).toBe(true);
  });

  test("and texts: what would be refused is said while it is written, once, and taken back when it fits", () => {
    type("x".repeat(limits.message_chars + 1));
    const sentence = error();
    expect(sentence).toMatch(/^A comment has at most/);
    type("x".repeat(limits.message_chars + 2));
    expect(error()).toBe(sentence);
    expect(textBox().getAttribute("aria-invalid")).toBe("true");
    expect(document.activeElement).not.toBe(textBox());
    type("fits");
    expect([error(), textBox().hasAttribute("aria-invalid")]).toEqual([null, false]);
    nameBox().value = "R".repeat(limits.name_chars + 1);
    nameBox().dispatchEvent(new Event("input", { bubbles: true }));
    expect(error()).toMatch(/^A name has at most/);
  });

  test("can be tried again by itself, while the next comment is being written", () => {
    choose(notes);
    composer.offerAgain(notes);
    type("Next", "Robin");
    [...composer.element.querySelectorAll("button")].find((it) => it.textContent === "Try again")?.click();
    expect(drafts).toEqual([{ text: "", files: [notes], isWhisper: false, name: "Robin" }]);
    expect(textBox().value).toBe("Next");
  });
});

describe("whispers", () => {
  const manager: Visitor = { ...guest, name: "Marit", isSignedIn: true, isPersistent: true };
  const box = () => find<HTMLInputElement>("input[name=whisper]");
  const label = () => box().closest("label") as HTMLElement;
  const alert = () => find<HTMLElement>("[role=alert]");
  const look = () => ({
    isMarked: composer.element.classList.contains("chatix-whisper"),
    label: textBox().closest("label")?.textContent,
    placeholder: textBox().placeholder,
    button: find(".chatix-post").textContent,
    takesFiles: !find<HTMLElement>(".chatix-attach").hidden,
  });
  const comment = {
    isMarked: false,
    label: "Write a comment",
    placeholder: "Write a comment",
    button: "Post comment",
    takesFiles: true,
  };
  const whisper = {
    isMarked: true,
    label: "Write a whisper to the other managers",
    placeholder: "Write a whisper to the other managers",
    button: "Send whisper",
    takesFiles: false,
  };
  const file = () => new File(["x"], "a.txt", { type: "text/plain" });
  const choose = () => {
    const input = find<HTMLInputElement>("input[type=file]");
    Object.defineProperty(input, "files", { value: [file()], configurable: true });
    input.dispatchEvent(new Event("change"));
  };
  const bring = (how: string) => {
    const event = new Event(how, { bubbles: true, cancelable: true });
    const data = { files: [file()], types: ["Files"], getData: () => "" };
    Object.defineProperty(event, how === "paste" ? "clipboardData" : "dataTransfer", { value: data });
    composer.element.dispatchEvent(event);
    return event;
  };
  const sent = (text: string): Pending => ({
    text,
    file: null,
    isWhisper: true,
    name: null,
    clientKey: "k",
    mayHaveArrived: false,
  });

  beforeEach(() => {
    form.setVisitor(manager, limits);
    form.setManager(true);
  });

  test("are for managers, who are told that they are", () => {
    expect(label().hidden).toBe(false);
    expect(find(".chatix-identity").textContent).toBe("Commenting as Marit Team");
    form.setVisitor(manager, limits);
    expect(find(".chatix-identity").textContent).toBe("Commenting as Marit Team");
    form.setManager(false);
    expect(label().hidden).toBe(true);
    expect(find(".chatix-identity").textContent).toBe("Commenting as Marit");
  });

  test("look like no comment, wherever one looks", () => {
    expect(look()).toEqual(comment);
    box().click();
    expect(look()).toEqual(whisper);
    type("Psst");
    press({ ctrlKey: true });
    expect(drafts).toEqual([{ text: "Psst", files: [], isWhisper: true, name: null }]);
  });

  test("stay on until they are switched off: the next one must not be public by mistake", () => {
    box().click();
    type("Psst");
    press({ ctrlKey: true });
    composer.show({ kind: "sending", items: [sent("Psst")] });
    expect(box().disabled).toBe(true);
    expect(find(".chatix-post").textContent).toBe("Posting…");
    composer.clear(sent("Psst"));
    composer.show({ kind: "empty", items: [] });
    expect([textBox().value, box().disabled]).toEqual(["", false]);
    form.setVisitor(manager, limits);
    form.setManager(true);
    expect(look()).toEqual(whisper);
    box().click();
    expect(look()).toEqual(comment);
  });

  test("take no files: those would be public", () => {
    choose();
    box().click();
    expect(alert().textContent).toMatch(/^Files cannot be whispered.*Remove them/);
    expect(composer.element.querySelectorAll("li")).toHaveLength(1);
    form.setManager(true);
    expect(alert().textContent).not.toContain("\n");
    box().click();
    expect([alert().hidden, alert().textContent]).toEqual([true, ""]);
    box().click();
    type("Psst");
    press({ ctrlKey: true });
    expect(drafts).toEqual([]);
    expect(alert().textContent).toMatch(/^Files cannot be whispered/);
    find<HTMLButtonElement>("li button").click();
    press({ ctrlKey: true });
    expect(drafts).toHaveLength(1);
  });

  test.each(["paste", "drop"])("refuse files in words on %s, and the page stays", (how) => {
    box().click();
    type("Psst");
    const over = bring("dragover");
    expect(over.defaultPrevented).toBe(true);
    expect(composer.element.classList.contains("chatix-dropping")).toBe(false);
    for (let time = 0; time < 2; time += 1) {
      expect(bring(how).defaultPrevented).toBe(true);
      expect(alert().hidden).toBe(false);
      expect(alert().textContent).toMatch(/^Files cannot be whispered[^\n]*Switch the whisper off[^\n]*$/);
    }
    expect(composer.element.querySelectorAll("li")).toHaveLength(0);
    expect(textBox().value).toBe("Psst");
    box().click();
    expect([alert().hidden, alert().textContent]).toEqual([true, ""]);
  });

  test("leave what else is wrong where it is when they are switched off", () => {
    composer.fail("Write something first.", "text");
    box().click();
    box().click();
    expect([alert().hidden, alert().textContent]).toEqual([false, "Write something first."]);
  });

  test.each([
    ["are not taken by this site", () => form.setVisitor(manager, { ...limits, files: 0 })],
    [
      "would go to a closed thread",
      () => {
        form.mayPost = false;
      },
    ],
  ])("leave files to the browser that %s", (_, close) => {
    close();
    box().click();
    expect(bring("drop").defaultPrevented).toBe(false);
    expect(alert().hidden).toBe(true);
  });

  test("take none either when the thread is opened again, and a closed thread takes none at all", () => {
    box().click();
    form.mayPost = true;
    expect(look().takesFiles).toBe(false);
    form.mayPost = false;
    box().click();
    form.setVisitor(manager, limits);
    expect(look().takesFiles).toBe(false);
    form.mayPost = true;
    expect(look().takesFiles).toBe(true);
  });

  test("that are half written go with the right to whisper, and never become comments", () => {
    box().click();
    type("About this reader: ");
    form.setManager(false);
    expect(textBox().value).toBe("");
    expect(look()).toEqual(comment);
    expect(alert().textContent).toMatch(/^You are no manager here any more/);
    form.setManager(true);
    expect(box().checked).toBe(false);
  });

  test("a comment that is half written stays", () => {
    type("Tides: ");
    form.setManager(false);
    expect(textBox().value).toBe("Tides: ");
    expect(alert().hidden).toBe(true);
  });
});
