/** What those read who write: beside the strings of i18n.ts, which everybody needs. */

import { formatBytes, formatRoughly } from "./amounts";
import { formatNumber } from "./i18n";

const TYPE_NAMES: Record<string, string> = { "text/plain": "text" };
const MEGAPIXEL = 1_000_000;

const characters = (count: number): string =>
  `${formatNumber(count)} ${count === 1 ? "character" : "characters"}`;

const files = (count: number): string => `${formatNumber(count)} ${count === 1 ? "file" : "files"}`;

const pixels = (count: number): string =>
  count < MEGAPIXEL ? `${formatNumber(count)} pixels` : `${formatRoughly(count / MEGAPIXEL)} megapixels`;

/** "image/jpeg" is JPEG to readers. */
const typeName = (type: string): string => TYPE_NAMES[type] ?? type.replace(/^.*\/(x-)?/, "").toUpperCase();

export const writingStrings = {
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
  close: "Close",
  posting: "Posting…",
  whisper: "Whisper: only managers will see this",
  writeWhisper: "Write a whisper to the other managers",
  postWhisper: "Send whisper",
  whisperHasFiles:
    "Files cannot be whispered: everybody would see them. Remove them, or switch the whisper off.",
  whisperTakesNoFiles:
    "Files cannot be whispered: everybody would see them. Switch the whisper off to attach files.",
  whisperEnded: "You are no manager here any more. What you were about to whisper has been removed.",
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
  badName: "This name cannot be used.",
  emptyName: "Please give a name: it is shown beside your comment.",
  longText: (limit: number, length: number) =>
    `A comment has at most ${characters(limit)}; this one has ${formatNumber(length)}.`,
  tooLong: (limit: number) => `A comment has at most ${characters(limit)}.`,
  longName: (limit: number) => `A name has at most ${characters(limit)}.`,
  charactersLeft: (left: number) => (left < 0 ? `${characters(-left)} too many` : `${characters(left)} left`),
  notPosted: "Your comment was not posted. Please try again.",
  notPostedSure: "The connection broke before your comment arrived. Post it again?",
  fileNotPostedSure: "The connection broke before this file arrived. Post it again?",
} as const;
