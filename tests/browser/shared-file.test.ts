import { beforeEach, expect, test } from "vitest";
import { fileNode } from "../../browser/shared-file";
import type { SharedFile } from "../../browser/thread-state";
import { sharedFile, sharedImage } from "./messages";

beforeEach(() => document.body.replaceChildren());

function shown(file: SharedFile): Element {
  document.body.replaceChildren(fileNode(file));
  return document.body;
}

function thumbnail(changes: Partial<SharedFile>): Record<string, string | null> {
  const image = shown(sharedImage(changes)).querySelector("img");
  const names = ["src", "alt", "width", "height", "loading"];
  return Object.fromEntries(names.map((name) => [name, image?.getAttribute(name) ?? null]));
}

test("a file is a link with its name and size that vouches for nothing", () => {
  const body = shown(sharedFile({ name: "Notes of May.pdf", sizeBytes: 1_600_000 }));
  const anchor = body.querySelector("a");
  expect([anchor?.textContent, anchor?.href]).toEqual([
    "Notes of May.pdf",
    "https://hub.example/files/b/notes.pdf",
  ]);
  expect(anchor?.rel).toBe("nofollow ugc noopener noreferrer");
  expect(body.querySelector(".chatix-size")?.textContent).toBe("1.5 MB");
});

test("an image is a thumbnail that says its name, and whose room is kept", () => {
  expect(thumbnail({ name: "cat.png", width: 1200, height: 800 })).toEqual({
    src: "https://hub.example/files/a/300.png",
    alt: "cat.png",
    width: "300",
    height: "200",
    loading: "lazy",
  });
  const anchor = document.querySelector("a");
  expect([anchor?.href, anchor?.getAttribute("aria-haspopup")]).toEqual([
    "https://hub.example/files/a/cat.png",
    "dialog",
  ]);
});

test.each([
  [800, 1200, "200", "300"],
  [120, 80, "120", "80"],
  [9000, 1, "300", "1"],
  [null, null, "300", null],
  [0, 10, "300", null],
])("an image of %j × %j gets %s × %s", (width, height, wide, high) => {
  expect(thumbnail({ width, height })).toMatchObject({ width: wide, height: high });
});

test.each([
  [null, "https://hub.example/files/a/cat.png", "cat.png"],
  [null, "https://hub.example/files/a/K%C3%A4se%20(1).png?v=1", "Käse (1).png"],
  [null, "https://hub.example/files/%ff", "%ff"],
  [null, "https://hub.example/files/", "Attachment"],
  ["photo\u202egpj.exe", "https://hub.example/x", "photogpj.exe"],
  [" \u0000\u2066 ", "https://hub.example/x", "Attachment"],
  ["<b>.png", "https://hub.example/x", "<b>.png"],
])("the name of %j at %s is %j", (name, url, shownName) => {
  expect(shown(sharedFile({ name, url })).textContent).toBe(shownName);
});

test("without a thumbnail that can be followed the image itself is shown", () => {
  const own = "https://hub.example/files/a/cat.png";
  expect(thumbnail({ thumbUrl: null }).src).toBe(own);
  expect(thumbnail({ thumbUrl: "data:image/svg+xml,<svg onload=alert(1)>" }).src).toBe(own);
});

test.each(["javascript:alert(1)", "data:text/html,x", "https://a@evil.example/x.png", "/relative.png", ""])(
  "what cannot be followed is only named: %s",
  (url) => {
    for (const file of [sharedFile({ url, name: "a.png" }), sharedImage({ url, name: "a.png" })]) {
      expect(shown(file).innerHTML).toBe("<bdi>a.png</bdi>");
    }
  },
);
