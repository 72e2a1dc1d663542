/** Images of the thread, opened in place. */

import { dialogOf } from "./lightbox-dialog";

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
    openInPlace(opener, host);
  });
}

function openInPlace(opener: HTMLAnchorElement, host: HTMLElement): void {
  const dialog = dialogOf(opener.href, opener.querySelector("img")?.alt ?? "");
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener.focus();
  });
  host.append(dialog);
  dialog.showModal();
}

/** With a key held, browsers open a tab or a window, or save: as with any link. */
function openerOf(event: MouseEvent): HTMLAnchorElement | null {
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  return isPlain && event.target instanceof Element ? event.target.closest("a.chatix-image") : null;
}
