/** Load the rest of the style, which is of no use before there is a section. */

/** The hashed name of the bundled style, filled in by build.mjs. */
declare const SECTION_STYLE_FILE: string;

let loading: Promise<boolean> | undefined;

/** Resolves when the style is there, or cannot be had: comments without it are better than none. */
export async function loadStyle(): Promise<void> {
  loading ??= request();
  if (!(await loading)) loading = undefined;
}

function request(): Promise<boolean> {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(SECTION_STYLE_FILE, import.meta.url).href;
  return new Promise((resolve) => {
    link.onload = () => resolve(true);
    link.onerror = () => {
      link.remove();
      resolve(false);
    };
    place(link);
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
