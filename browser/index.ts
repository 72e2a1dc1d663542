/** The entry of the bundle: defines the element, and leaves what earlier pages left behind. */

import { CommentsElement } from "./comments-element";
import { startSweep } from "./sweep";

if (!customElements.get("chatix-comments")) {
  customElements.define("chatix-comments", CommentsElement);
  startSweep();
}
