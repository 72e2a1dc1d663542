/** Which sentence tells a reader what has gone wrong with the line. */

import { isRefusal } from "./connector";
import { strings } from "./i18n";
import { LineError, missingOf } from "./sdk/chat";
import { SiteError } from "./site";

/** Whether nobody said no, and nobody said anything else: the line is broken, or the site is away. */
export const isSilence = (error: unknown): boolean =>
  error instanceof LineError || (error instanceof SiteError && error.kind === "unreachable");

/** What to say of a connection that does not come about. */
export function noticeOf(error: unknown): string {
  // What the site says is for readers; a chat service speaks of chatrooms.
  const said = error instanceof SiteError && !isSilence(error) ? error.message : missingOf(error)?.sentence;
  return said || strings[isRefusal(error) ? "refused" : "unavailable"];
}
