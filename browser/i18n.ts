/** What readers see in words: strings, numbers and times. English, until catalogues come. */

const LANGUAGE = "en";

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
  posting: "Posting…",
  willBePosted: "Not posted yet. It will be as soon as the connection is back.",
  showEarlier: "Show earlier comments",
  loadingEarlier: "Loading…",
  showMore: "Show more",
  showLess: "Show less",
  newComments: (count: number) => `${formatNumber(count)} new ${count === 1 ? "comment" : "comments"}`,
  newSince: "New since your last visit",
  readers: (count: number) => `${formatNumber(count)} reading`,
  you: "(you)",
  anonymous: "Guest",
  commentBy: (author: string) => `Comment by ${author}`,
  manager: "Team",
  edited: "edited",
  edit: "Edit",
  delete: "Delete",
  deleting: "Deleting…",
  save: "Save",
  saving: "Saving…",
  keep: "Keep",
  deleteQuestion: "Delete this comment for good?",
  yourComment: "your comment",
  commentOf: (name: string | null) => `the comment of ${name?.trim() || "a guest"}`,
  willBeSaved: "Not saved yet. It will be as soon as the connection is back.",
  willBeDeleted: "Not deleted yet. It will be as soon as the connection is back.",
  changedMeanwhile:
    "This comment was changed meanwhile: it now reads as above. Saving puts your text in its place.",
  deletedMeanwhile: "This comment was deleted meanwhile. What you wrote is still here, for you to copy.",
  whisper: "Whisper: only managers will see this",
  whisperMark: "Whisper, for managers only",
  writeWhisper: "Write a whisper to the other managers",
  postWhisper: "Send whisper",
  whisperHasFiles:
    "Files cannot be whispered: everybody would see them. Remove them, or switch the whisper off.",
  whisperTakesNoFiles:
    "Files cannot be whispered: everybody would see them. Switch the whisper off to attach files.",
  whisperEnded: "You are no manager here any more. What you were about to whisper has been removed.",
  attachment: "Attachment",
  openOriginal: "Open the original",
  close: "Close",
  image: "Image",
  cannotShowImage: "The image cannot be shown.",
  empty: "No comments yet. Yours could be the first.",
  emptyAndClosed: "There are no comments.",
  closed: "Comments are closed.",
  gone: "These comments are not available.",
  commentingAs: "Commenting as",
  attach: "Attach files",
  attached: "Files to be posted",
  remove: "Remove",
  cancel: "Cancel",
  uploading: (name: string) => `Uploading ${name}`,
  mostFiles: (most: number) => `Up to ${files(most)}.`,
  largestFile: (limit: number) => `Each up to ${formatBytes(limit)}.`,
  mostPixels: (limit: number) => `Images up to ${pixels(limit)}.`,
  fileTypes: (types: readonly string[]) => `Types: ${types.map(typeName).join(", ")}.`,
  tooManyFiles: (names: readonly string[], most: number) =>
    `A comment takes up to ${files(most)}. Not attached: ${names.join(", ")}.`,
  largeFile: (name: string, limit: number) => `${name} is too large: a file has up to ${formatBytes(limit)}.`,
  wrongType: (name: string, types: readonly string[]) =>
    `${name} is of another type than what can be attached: ${types.map(typeName).join(", ")}.`,
  emptyFile: (name: string) => `${name} is empty.`,
  unreadableFile: (name: string) => `${name} cannot be read.`,
  manyPixels: (name: string, width: number, height: number, limit: number) =>
    `${name} is too large: it has ${formatNumber(width)} × ${formatNumber(height)} pixels, an image has up to ${pixels(limit)}.`,
  longSides: (name: string, width: number, height: number, limit: number) =>
    `${name} is too large: it has ${formatNumber(width)} × ${formatNumber(height)} pixels, an image is up to ${formatNumber(limit)} wide and high.`,
  fileNotPosted: (name: string, reason: string) => `${name}: ${reason}`,
  notUploaded: "This file could not be uploaded. Please try again.",
  emptyText: "Write something first.",
  emptyName: "Please give a name: it is shown beside your comment.",
  longText: (limit: number, length: number) =>
    `A comment has at most ${characters(limit)}; this one has ${formatNumber(length)}.`,
  tooLong: (limit: number) => `A comment has at most ${characters(limit)}.`,
  longName: (limit: number) => `A name has at most ${characters(limit)}.`,
  charactersLeft: (left: number) => (left < 0 ? `${characters(-left)} too many` : `${characters(left)} left`),
  notPosted: "Your comment was not posted. Please try again.",
  notPostedSure: "The connection broke before your comment arrived. Post it again?",
  fileNotPostedSure: "The connection broke before this file arrived. Post it again?",
  cannotLoadEarlier: "Earlier comments could not be loaded. Please try again.",
  unavailable:
    "The comments are on their way: they cannot be reached at the moment, and will come by themselves.",
  missing:
    "The comments are part of this site’s chat, which has not loaded. They will come by themselves when it has.",
  refused: "These comments cannot be shown at the moment.",
  keepText: "Copy what you have written before you reload the page.",
  connecting: "Connecting",
  preparing: "The comments are on their way",
  live: "Live",
  reconnecting: "Reconnecting",
  "catching-up": "Catching up",
  offline: "Offline",
} as const;

const numbers = /* @__PURE__ */ new Intl.NumberFormat(LANGUAGE);
const rough = /* @__PURE__ */ new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const relative = /* @__PURE__ */ new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const fullDate = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "short" });
const shortDate = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const shortDateWithYear = /* @__PURE__ */ new Intl.DateTimeFormat(LANGUAGE, {
  day: "numeric",
  month: "short",
  year: "numeric",
});

const BYTE_UNITS = ["B", "kB", "MB", "GB"] as const;
const TYPE_NAMES: Record<string, string> = { "text/plain": "text" };
const MEGAPIXEL = 1_000_000;
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

const characters = (count: number): string =>
  `${formatNumber(count)} ${count === 1 ? "character" : "characters"}`;

const files = (count: number): string => `${formatNumber(count)} ${count === 1 ? "file" : "files"}`;

const pixels = (count: number): string =>
  count < MEGAPIXEL ? `${formatNumber(count)} pixels` : `${rough.format(count / MEGAPIXEL)} megapixels`;

/** "image/jpeg" is JPEG to readers. */
const typeName = (type: string): string => TYPE_NAMES[type] ?? type.replace(/^.*\/(x-)?/, "").toUpperCase();

/** Say how large a file is: "1.5 MB". As file managers count, a kilobyte has 1024 bytes. */
export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), BYTE_UNITS.length - 1);
  return `${rough.format(bytes / 1024 ** power)} ${BYTE_UNITS[power]}`;
}

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
