/** Images of the thread, opened in place: in a modal dialog, which Escape, its button and its backdrop close. */

import { make } from "./dom";
import { strings } from "./i18n";
import { link } from "./prose";

/**
 * Open links of the class `chatix-image` in place.
 *
 * @param thread Where the links are, now and later.
 * @param host Takes the dialog while it is open.
 */
export function openImagesInPlace(thread: HTMLElement, host: HTMLElement): void {
  thread.addEventListener("click", (event) => {
    const opener = openerOf(event);
    if (!opener) return;
    event.preventDefault();
    const dialog = dialogOf(opener.href, opener.querySelector("img")?.alt ?? "");
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener.focus();
    });
    host.append(dialog);
    dialog.showModal();
  });
}

/** With a key held, browsers open a tab or a window, or save: as with any link. */
function openerOf(event: MouseEvent): HTMLAnchorElement | null {
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  return isPlain && event.target instanceof Element ? event.target.closest("a.chatix-image") : null;
}

function dialogOf(href: string, name: string): HTMLDialogElement {
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
