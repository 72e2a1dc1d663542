import { beforeEach, describe, expect, test } from "vitest";
import { Composer } from "../../browser/composer";
import type { Draft } from "../../browser/outbox";
import type { Visitor } from "../../browser/site";

const guest: Visitor = { id: "me", name: null, isManager: false, isSignedIn: false, isPersistent: false };
const limits = { messageChars: 10, nameChars: 20, pageSize: 3 };

let drafts: Draft[];
let composer: Composer;

beforeEach(() => {
  drafts = [];
  composer = new Composer((draft) => drafts.push(draft));
  composer.setVisitor(guest, limits);
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
      it.querySelector("span")?.textContent,
      it.querySelector("input, textarea")?.tagName,
    ]);
    expect(labels).toEqual([
      ["Name", "INPUT"],
      ["Write a comment", "TEXTAREA"],
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
      { text: "Hi", name: "Robin" },
      { text: "Hi", name: "Robin" },
    ]);
  });
});

describe("the name", () => {
  test("that the site remembers fills an empty field, and not what the reader types", () => {
    composer.setVisitor({ ...guest, name: "Robin", isPersistent: true }, limits);
    expect(nameBox().value).toBe("Robin");
    nameBox().value = "Rob";
    composer.setVisitor({ ...guest, name: "Robin", isPersistent: true }, limits);
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
