/** What fits into a comment, read from what the site says. */

import type { SaidLimits } from "./site";

export interface Limits {
  readonly messageChars: number;
  readonly nameChars: number;
  /** For how long one's own comments can be changed; 0: not at all. */
  readonly editWindowMs: number;
  /** `null` where nothing can be attached. */
  readonly files: FileLimits | null;
}

export interface FileLimits {
  /** In one comment. */
  readonly most: number;
  /** In one file; `null` if nobody said. */
  readonly bytes: number | null;
  /** In one image. */
  readonly pixels: number | null;
  /** MIME types; `null` for any. */
  readonly types: readonly string[] | null;
}

export function limitsFrom(said: SaidLimits): Limits {
  return {
    messageChars: positive(said.message_chars, 10_000),
    nameChars: positive(said.name_chars, 80),
    editWindowMs: positive(said.edit_window_s, 0) * 1000,
    files: fileLimitsFrom(said),
  };
}

function fileLimitsFrom(said: SaidLimits): FileLimits | null {
  const most = positive(said.files, 0);
  const types = said.file_types;
  if (!most) return null;
  return {
    most,
    bytes: positive(said.file_bytes, 0) || null,
    pixels: positive(said.image_pixels, 0) || null,
    types: Array.isArray(types) ? types.map(String) : null,
  };
}

function positive(value: unknown, fallback: number): number {
  return typeof value === "number" && value >= 1 ? Math.floor(value) : fallback;
}
