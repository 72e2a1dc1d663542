/** What stands beside a name and is not part of it: no name can hold elements. */

import { make } from "./dom";
import { strings } from "./i18n";

/** The badge of managers. Screen readers say that it is a picture, which they say of no text. */
export function managerBadge(): HTMLElement {
  return make("span", { class: "chatix-badge", role: "img", "aria-label": strings.manager }, strings.manager);
}

/** What says in words that only managers see this. */
export function whisperMark(): HTMLElement {
  return make("span", { class: "chatix-whisper-mark" }, strings.whisperMark);
}
