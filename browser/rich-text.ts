/** Which comments take more than their text to show. */

import type { ThreadMessage } from "./thread-state";

/** Estimated, not measured: to measure hundreds of comments would hold up the page. */
const CHARS_IN_A_LINE = 70;
const MOST_LINES = 30;

/** Whether a text is so long that few want to scroll past it. */
export function isTall(text: string): boolean {
  let lines = 0;
  for (const line of text.split("\n")) lines += Math.max(1, Math.ceil(line.length / CHARS_IN_A_LINE));
  return lines > MOST_LINES;
}

/** Whether there may be a link in a text; prose.ts knows it. */
export const mayHaveLinks = (text: string): boolean => /https?:/i.test(text);

/** Whether the aids have more to show of a comment than its text. */
export const isRich = ({ file, text }: ThreadMessage): boolean =>
  file !== null || isTall(text) || mayHaveLinks(text);
