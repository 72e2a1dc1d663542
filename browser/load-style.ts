/** Load the rest of the style, which is of no use before there is a section. */

/** The hashed name of the bundled style, filled in by build.mjs. */
declare const SECTION_STYLE_FILE: string;

let link: HTMLLinkElement | undefined;
let loading: Promise<unknown> | undefined;

/** Resolves when the style is there, or cannot be had: comments without it are better than none. */
export async function loadStyle(): Promise<void> {
  // Not only an error takes it away: so does navigation that puts another page's head in place of this one's.
  if (!link?.isConnected) loading = request();
  await loading;
}

function request(): Promise<unknown> {
  const style = document.createElement("link");
  link = style;
  style.rel = "stylesheet";
  style.href = new URL(SECTION_STYLE_FILE, import.meta.url).href;
  return new Promise((resolve) => {
    style.onload = resolve;
    style.onerror = () => resolve(style.remove());
    place(style);
  });
}

/** Right behind the style that the page has of us: what a site sets after that counts more, as it did before. */
function place(link: HTMLLinkElement): void {
  const folder = new URL(".", link.href).href;
  const links = [...document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")];
  const ours = links.find(({ href }) => href.startsWith(folder));
  if (ours) ours.after(link);
  else document.head.prepend(link);
}
