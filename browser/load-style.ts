/** Load styles that are of no use before somebody needs what they are for. */

/** The hashed name of the section's style, filled in by build.mjs. */
declare const SECTION_STYLE_FILE: string;

/** Resolves when the style is there, or cannot be had: comments without it are better than none. */
export type LoadStyle = () => Promise<void>;

/** @param file The style's hashed name. */
export function styleLoader(file: string): LoadStyle {
  let link: HTMLLinkElement | undefined;
  let loading: Promise<unknown> | undefined;
  const request = (style: HTMLLinkElement) =>
    new Promise((resolve) => {
      style.rel = "stylesheet";
      style.href = new URL(file, import.meta.url).href;
      style.onload = resolve;
      style.onerror = () => resolve(style.remove());
      place(style);
    });
  return async () => {
    // Not only an error takes it away: so does navigation that puts another page's head in place of this one's.
    if (!link?.isConnected) {
      link = document.createElement("link");
      loading = request(link);
    }
    await loading;
  };
}

export const loadStyle = /* @__PURE__ */ styleLoader(SECTION_STYLE_FILE);

/** Right behind the styles that the page has of us: what a site sets after that counts more, as it did before. */
function place(link: HTMLLinkElement): void {
  const folder = new URL(".", link.href).href;
  const links = [...document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")];
  const ours = links.filter(({ href }) => href.startsWith(folder)).at(-1);
  if (ours) ours.after(link);
  else document.head.prepend(link);
}
