/** What the boxes for text have in common: what fits, what does not, and which key sends it. */

import { writingStrings as strings } from "./writing-strings";

/** Characters as Python counts them: the hub's limits are in code points. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** Say why this cannot be a comment; `null` if it can. */
export function textFault(text: string, limit: number): string | null {
  if (!text) return strings.emptyText;
  const length = lengthOf(text);
  return length > limit ? strings.longText(limit, length) : null;
}

/** Ctrl+Enter, or Command+Enter; not the Enter that ends a composition. */
export const isSendKey = (event: KeyboardEvent): boolean =>
  event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
