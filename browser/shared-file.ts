/** What somebody attached, as it stands in the thread: an image by its thumbnail, anything else as a link. */

import { aidStrings as strings } from "./aid-strings";
import { formatBytes } from "./amounts";
import { make } from "./dom";
import { link, safeUrl } from "./prose";
import type { SharedFile } from "./thread-state";

/** The longest side of a thumbnail. */
const THUMB_PX = 300;
/** What turns the direction of text: in "photo\u202egpj.exe" it hides what the file is. */
const INVISIBLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Return the file as a node; one whose address cannot be followed is only named. */
export function fileNode(file: SharedFile): Node {
  const href = safeUrl(file.url);
  const name = nameOf(file, href);
  if (!href) return make("bdi", {}, name);
  const anchor = link(document, href, name);
  anchor.dir = "auto";
  if (file.isImage) return imageLink(anchor, file, href, name);
  return make("span", { class: "chatix-file" }, anchor, ...sizeOf(file));
}

function imageLink(anchor: HTMLElement, file: SharedFile, href: string, name: string): HTMLElement {
  const image = make("img", {
    ...roomOf(file),
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
    alt: name,
    src: safeUrl(file.thumbUrl) ?? href,
  });
  anchor.className = "chatix-image";
  anchor.setAttribute("aria-haspopup", "dialog");
  anchor.replaceChildren(image);
  return anchor;
}

/**
 * How large the thumbnail will be: its room is kept free, so that nothing moves when it comes. One of unknown
 * measures is fitted into the room that the style sheet gives it.
 */
function roomOf({ width, height }: SharedFile): Record<string, string> {
  if (!width || !height) return { class: "chatix-thumb chatix-unsized", width: String(THUMB_PX) };
  const scale = Math.min(1, THUMB_PX / Math.max(width, height));
  const scaled = (length: number) => String(Math.max(1, Math.round(length * scale)));
  return { class: "chatix-thumb", width: scaled(width), height: scaled(height) };
}

const sizeOf = ({ sizeBytes }: SharedFile): HTMLElement[] =>
  sizeBytes === null ? [] : [make("span", { class: "chatix-size" }, formatBytes(sizeBytes))];

function nameOf(file: SharedFile, href: string | null): string {
  const name = (file.name ?? lastPart(href)).replace(INVISIBLE, "").trim();
  return name || (file.isImage ? strings.image : strings.attachment);
}

/** Services that tell no name may have it in the address. */
function lastPart(href: string | null): string {
  const part = href ? (new URL(href).pathname.split("/").at(-1) ?? "") : "";
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
