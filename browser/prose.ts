/** What somebody wrote, as DOM nodes: links become links, everything else stays text. */

/**
 * Runs to the next space, or to a character that is not seen: some of those turn the direction of the text. What
 * may follow a link in a sentence is cut off afterwards.
 */
const LINK = /\bhttps?:\/\/[^\s\p{Cc}\p{Cf}<>"'`\u2018-\u201f\u00ab\u00bb]+/giu;
const AUTHORITY = /^https?:\/\/([^/?#\\]*)/iu;
/** As the hub has it for URLs (limits.py). Whatever is longer is no address that somebody wants to follow. */
const MAX_LINK_LENGTH = 2_000;
const TRAILING = new Set(".,:;!?…*_~");
const OPENING_OF = new Map([
  [")", "("],
  ["]", "["],
  ["}", "{"],
]);

/** Return `text` as a fragment. Line breaks stay characters: the stylesheet keeps them visible. */
export function toNodes(text: string, document: Document): DocumentFragment {
  const fragment = document.createDocumentFragment();
  let position = 0;
  for (const match of text.matchAll(LINK)) {
    if (match[0].length > MAX_LINK_LENGTH) continue;
    const address = trimLink(match[0]);
    const href = safeUrl(address);
    if (!href) continue;
    fragment.append(text.slice(position, match.index), link(document, href, labelOf(address, href)));
    position = match.index + address.length;
  }
  fragment.append(text.slice(position));
  return fragment;
}

/** Return the address if a browser can follow it without harm, else `null`. */
export function safeUrl(address: string | null): string | null {
  if (!address) return null;
  try {
    const url = new URL(address);
    // "https://bank.example@evil.example" shows one name and leads to another.
    const isPlain = (url.protocol === "https:" || url.protocol === "http:") && !url.username && !url.password;
    return isPlain ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Show what was typed only if the host in it is the one that the link leads to. Otherwise show the address itself,
 * where letters that look like others are "xn--…".
 */
function labelOf(address: string, href: string): string {
  const typed = AUTHORITY.exec(address)?.[1]?.toLowerCase();
  return typed === new URL(href).host ? address : href;
}

/** Make a link to somebody else's page that vouches for nothing. */
export function link(document: Document, href: string, label: string): HTMLAnchorElement {
  const anchor = document.createElement("a");
  anchor.href = href;
  // Isolates it as well: the text around it can neither turn it nor be turned by it.
  anchor.dir = "ltr";
  anchor.rel = "nofollow ugc noopener noreferrer";
  anchor.textContent = label;
  return anchor;
}

/**
 * "(see https://example.org/a_(b))." ends in marks that belong to the sentence, not to the link.
 *
 * Each character is looked at twice at most: once to count, once on the way back from the end.
 */
function trimLink(address: string): string {
  const counts = new Map<string, number>();
  for (const character of address) counts.set(character, countOf(counts, character) + 1);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address.charAt(end - 1);
    const opening = OPENING_OF.get(last);
    const isUnpaired = opening !== undefined && countOf(counts, last) > countOf(counts, opening);
    if (!isUnpaired && !TRAILING.has(last)) break;
    counts.set(last, countOf(counts, last) - 1);
  }
  return address.slice(0, end);
}

const countOf = (counts: Map<string, number>, character: string) => counts.get(character) ?? 0;
