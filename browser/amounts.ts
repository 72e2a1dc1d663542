/** Amounts in words, for the parts that speak of files; each has this in it. */

import { LANGUAGE } from "./i18n";

const rough = /* @__PURE__ */ new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const BYTE_UNITS = ["B", "kB", "MB", "GB"] as const;

/** Say how large a file is: "1.5 MB". As file managers count, a kilobyte has 1024 bytes. */
export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), BYTE_UNITS.length - 1);
  return `${rough.format(bytes / 1024 ** power)} ${BYTE_UNITS[power]}`;
}

/** Say a number that need not be exact: "1.5". */
export const formatRoughly = (value: number): string => rough.format(value);
