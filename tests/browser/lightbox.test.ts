import { beforeAll, beforeEach, expect, test } from "vitest";
import { openImagesInPlace } from "../../browser/lightbox";
import { fileNode } from "../../browser/shared-file";
import { sharedFile, sharedImage } from "./messages";
import { loadParts } from "./parts";

let thread: HTMLElement;

beforeAll(loadParts);

beforeEach(() => {
  thread = document.createElement("div");
  thread.append(
    fileNode(sharedImage({ name: "cat.png" })),
    fileNode(sharedImage({ name: "dog.png", url: "https://hub.example/files/c/dog.png" })),
    fileNode(sharedFile()),
  );
  document.body.replaceChildren(thread);
  openImagesInPlace(thread, document.body);
});

const links = () => [...thread.querySelectorAll<HTMLAnchorElement>("a")];
const dialogs = () => [...document.querySelectorAll("dialog")];
const dialog = () => dialogs()[0];
const image = () => dialog()?.querySelector("img");
const button = () => dialog()?.querySelector("button");

/** Click as a browser does, and tell whether the link was left to it. */
function click(target: Element | null | undefined, init: MouseEventInit = {}): boolean {
  return (
    target?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ...init })) ?? false
  );
}

test("an image opens in place, with its name and a way to the original", () => {
  expect(click(links()[0]?.querySelector("img"))).toBe(false);
  expect(dialog()?.open).toBe(true);
  expect(dialog()?.getAttribute("aria-label")).toBe("cat.png");
  expect([image()?.getAttribute("src"), image()?.alt]).toEqual([
    "https://hub.example/files/a/cat.png",
    "cat.png",
  ]);
  const original = dialog()?.querySelector("a");
  expect([original?.href, original?.target]).toEqual(["https://hub.example/files/a/cat.png", "_blank"]);
});

test("the next one takes its place", () => {
  click(links()[0]);
  button()?.click();
  click(links()[1]);
  expect([image()?.getAttribute("src"), image()?.alt]).toEqual([
    "https://hub.example/files/c/dog.png",
    "dog.png",
  ]);
  expect(dialog()?.querySelectorAll("a")).toHaveLength(1);
});

test.each<[string, () => void]>([
  ["its button", () => button()?.click()],
  ["a click beside the image", () => click(dialog())],
  ["Escape", () => dialog()?.close()],
])("%s closes it, and the keyboard is where it was", (_name, close) => {
  click(links()[1]);
  close();
  expect(dialogs()).toEqual([]);
  expect(document.activeElement).toBe(links()[1]);
});

test("a click on the image does not close it", () => {
  click(links()[0]);
  click(image());
  expect(dialog()?.open).toBe(true);
});

test.each<MouseEventInit>([{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { button: 1 }])(
  "a click with %j is the browser's",
  (init) => {
    expect(click(links()[0], init)).toBe(true);
    expect(dialogs()).toEqual([]);
  },
);

test("other files are not opened here", () => {
  expect(click(links()[2])).toBe(true);
  expect(click(thread)).toBe(true);
  expect(dialogs()).toEqual([]);
});

test("an image that cannot be shown is said", () => {
  click(links()[0]);
  image()?.dispatchEvent(new Event("error"));
  expect(dialog()?.querySelector("[role=alert]")?.textContent).toBe("The image cannot be shown.");
  expect(dialog()?.querySelector("a")?.textContent).toBe("Open the original");
});
