/**
 * The switch between comments, which everybody sees, and whispers, which managers see.
 *
 * It stays as it was set, for as long as the page does. To switch itself off after a whisper would be the dangerous
 * way: the next whisper, typed by somebody who thinks of the people and not of the switch, would be public. The other
 * mistake, a comment that only managers see, harms nobody and can be mended.
 */

import { make } from "./dom";
import { writingStrings as strings } from "./writing-strings";

export class WhisperToggle {
  readonly element: HTMLElement;
  readonly #box = make("input", { type: "checkbox", name: "whisper" });

  /** @param changed The reader has switched. */
  constructor(changed: () => void) {
    this.element = make("label", { class: "chatix-whispering", hidden: true }, this.#box, strings.whisper);
    this.#box.addEventListener("change", changed);
  }

  get isOn(): boolean {
    return this.#box.checked;
  }

  /** Who may not whisper has no switch, and it is off. */
  set isAllowed(isAllowed: boolean) {
    this.element.hidden = !isAllowed;
    if (!isAllowed) this.#box.checked = false;
  }

  /** What is on its way is what it was when it was sent. */
  set isLocked(isLocked: boolean) {
    this.#box.disabled = isLocked;
  }
}
