/** Which sentence tells a reader what has gone wrong, and where it belongs. */

import type { Fault } from "./composer";
import { isRefusal, meansGone } from "./connector";
import { strings } from "./i18n";
import type { Pending } from "./outbox";
import { LineError, MissingError, RefusedError } from "./sdk/chat";
import { SiteError } from "./site";

/** Whether the service refused what was posted, and not the place or the visitor. */
export const isOfTheComment = (error: unknown): error is RefusedError =>
  error instanceof RefusedError && !meansGone(error);

/** What to tell the reader whose comment came back, and at which box. */
export function faultOf({ file }: Pending, error: unknown): Fault {
  if (error instanceof SiteError && error.kind === "bad-name") return [error.message, "name"];
  if (error instanceof SiteError && error.kind === "no-room") return [error.message, "form"];
  if (error !== null && !isOfTheComment(error)) return [strings.notPosted, "form"];
  if (!file) return error ? [error.message, "text"] : [strings.notPostedSure, "form"];
  const reason = error ? error.message || strings.notUploaded : strings.fileNotPostedSure;
  return [strings.fileNotPosted(file.name, reason), "files"];
}

/** Whether nobody said no, and nobody said anything else: the line is broken, or the site is away. */
export const isSilence = (error: unknown): boolean =>
  error instanceof LineError || (error instanceof SiteError && error.kind === "unreachable");

/** What to say of a connection that does not come about. */
export function noticeOf(error: unknown): string {
  // What the site says is for readers; a chat service speaks of chatrooms.
  const said = error instanceof SiteError && !isSilence(error) ? error.message : "";
  return said || strings[kindOf(error)];
}

function kindOf(error: unknown): "missing" | "refused" | "unavailable" {
  if (error instanceof MissingError) return "missing";
  return isRefusal(error) ? "refused" : "unavailable";
}
