/** What readers see in words: strings, numbers and times. English, until catalogues come. */

export const LANGUAGE = "en";

/** The few that are needed before the section is loaded; kept apart, so that the entry stays small. */
export const entryStrings = {
  region: "Comments",
  cannotLoad: "The comments could not be loaded.",
  tryAgain: "Try again",
} as const;

export const strings = {
  name: "Name",
  write: "Write a comment",
  post: "Post comment",
  showEarlier: "Show earlier comments",
  loadingEarlier: "Loading…",
  readers: (count: number) => `${formatNumber(count)} reading`,
  you: "(you)",
  anonymous: "Guest",
  commentBy: (author: string) => `Comment by ${author}`,
  manager: "Team",
  edited: "edited",
  whisperMark: "Whisper, for managers only",
  empty: "No comments yet. Yours could be the first.",
  emptyAndClosed: "There are no comments.",
  closed: "Comments are closed.",
  gone: "These comments are not available.",
  commentingAs: "Commenting as",
  attach: "Attach files",
  cannotLoadEarlier: "Earlier comments could not be loaded. Please try again.",
  unavailable:
    "The comments are on their way: they cannot be reached at the moment, and will come by themselves.",
  refused: "These comments cannot be shown at the moment.",
  keepText: "Copy what you have written before you reload the page.",
  connecting: "Connecting",
  preparing: "The comments are on their way",
  live: "Live",
  reconnecting: "Reconnecting",
  "catching-up": "Catching up",
  offline: "Offline",
  cannotWrite: "What it takes to post could not be loaded. Please try again.",
  willBePosted: "Not posted yet. It will be as soon as the connection is back.",
} as const;

const numbers = /* @__PURE__ */ new Intl.NumberFormat(LANGUAGE);
const relative = /* @__PURE__ */ new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const fullDate = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "short" });
const shortDate = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const shortDateWithYear = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, {
  day: "numeric",
  month: "short",
  year: "numeric",
});

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

export const formatNumber = (value: number): string => numbers.format(value);

export const formatFully = (moment: Date): string => fullDate.format(moment);

/** Say how long ago: "just now", "5 minutes ago", "yesterday", from a week on the date. */
export function formatAge(moment: Date, now: Date): string {
  // A clock that is behind the service's must not make comments come from the future.
  const age = Math.max(0, (now.getTime() - moment.getTime()) / 1000);
  if (age < MINUTE_S) return "just now";
  if (age < HOUR_S) return relative.format(-Math.floor(age / MINUTE_S), "minute");
  if (age < DAY_S) return relative.format(-Math.floor(age / HOUR_S), "hour");
  if (age < 7 * DAY_S) return relative.format(-Math.floor(age / DAY_S), "day");
  const isThisYear = moment.getFullYear() === now.getFullYear();
  return (isThisYear ? shortDate : shortDateWithYear).format(moment);
}
