/** Which sentence tells a reader why a comment came back, and where it belongs. */

import type { Fault } from "./composer";
import { meansGone } from "./connector";
import type { Pending } from "./outbox";
import { RefusedError } from "./sdk/chat";
import { SiteError } from "./site";
import { writingStrings as strings } from "./writing-strings";

/** Whether the service refused what was posted, and not the place or the visitor. */
export const isOfTheComment = (error: unknown): error is RefusedError =>
  error instanceof RefusedError && !meansGone(error);

/** What to tell the reader whose comment came back, and at which box. */
export function faultOf({ file }: Pending, error: unknown): Fault {
  if (error instanceof SiteError && error.kind === "bad-name")
    return [error.message || strings.badName, "name"];
  if (error instanceof SiteError && error.kind === "no-room") return [error.message, "form"];
  if (error !== null && !isOfTheComment(error)) return [strings.notPosted, "form"];
  if (!file) return error ? [error.message, "text"] : [strings.notPostedSure, "form"];
  const reason = error ? error.message || strings.notUploaded : strings.fileNotPostedSure;
  return [strings.fileNotPosted(file.name, reason), "files"];
}
