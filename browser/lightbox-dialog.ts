/** The dialog in which an image of the thread is shown: modal; Escape, its button and its backdrop close it. */

import { aidStrings as strings } from "./aid-strings";
import { make } from "./dom";
import { link } from "./prose";

export function dialogOf(href: string, name: string): HTMLDialogElement {
  const close = make("button", { class: "chatix-close", type: "button" }, strings.close);
  const image = make("img", {
    class: "chatix-original",
    referrerpolicy: "no-referrer",
    alt: name,
    src: href,
  });
  const original = link(document, href, strings.openOriginal);
  original.target = "_blank";
  const caption = make("p", { class: "chatix-caption" }, make("bdi", {}, name), original);
  const dialog = make("dialog", { class: "chatix-lightbox", "aria-label": name }, close, image, caption);
  close.addEventListener("click", () => dialog.close());
  image.addEventListener("error", () => {
    image.replaceWith(make("p", { class: "chatix-original", role: "alert" }, strings.cannotShowImage));
  });
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
  return dialog;
}
