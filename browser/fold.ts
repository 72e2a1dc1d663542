/** Show of a very tall comment its beginning, and the rest when the reader asks for it. */

import { aidStrings as strings } from "./aid-strings";
import { make } from "./dom";
import { isTall } from "./rich-text";

/** Fold an article's text if it is tall; what the reader has unfolded stays so when it is edited. */
export function foldIfTall(article: HTMLElement, text: string): void {
  const known = article.querySelector<HTMLElement>(":scope > .chatix-more");
  // What the site has said of it holds until here; comments.css has kept the room of the button.
  article.classList.remove("chatix-tall");
  if (isTall(text) && !known) fold(article);
  else if (!isTall(text) && known) {
    known.remove();
    article.classList.remove("chatix-folded");
  }
}

function fold(article: HTMLElement): void {
  const button = make("button", { class: "chatix-more", type: "button" });
  const set = (isFolded: boolean) => {
    article.classList.toggle("chatix-folded", isFolded);
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = isFolded ? strings.showMore : strings.showLess;
  };
  set(true);
  button.addEventListener("click", () => set(button.getAttribute("aria-expanded") === "true"));
  const text = article.querySelector(".chatix-text");
  // Nobody is to be at a link that cannot be seen.
  text?.addEventListener("focusin", () => set(false));
  text?.after(button);
}
