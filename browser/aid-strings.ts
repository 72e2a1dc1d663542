/** What those read whose thread has files or tall comments, or grows where they do not look. */

import { formatNumber } from "./i18n";

export const aidStrings = {
  showMore: "Show more",
  showLess: "Show less",
  newComments: (count: number) => `${formatNumber(count)} new ${count === 1 ? "comment" : "comments"}`,
  attachment: "Attachment",
  openOriginal: "Open the original",
  close: "Close",
  image: "Image",
  cannotShowImage: "The image cannot be shown.",
} as const;
