/** What keeps a file from being attached, said before anything is sent. The hub holds the limits itself. */

import type { ImageSize } from "./image-size";
import type { FileLimits } from "./limits";
import { writingStrings as strings } from "./writing-strings";

/** As in the hub's images.py: what an image costs it grows with its rows as well. */
const MOST_SIDE_PX = 32_768;

type Rule = (file: File, limits: FileLimits) => string | false;

const RULES: readonly Rule[] = [
  ({ name, size }) => size === 0 && strings.emptyFile(name),
  ({ name, size }, { bytes }) => bytes !== null && size > bytes && strings.largeFile(name, bytes),
  // Browsers go by the name, and know few; where they know nothing, the hub will look at the content.
  ({ name, type }, { types }) =>
    types !== null && type !== "" && !types.includes(type) && strings.wrongType(name, types),
];

/** Return the sentence for the reader; `null` for a file that may be attached, as far as it shows from outside. */
export function faultOf(file: File, limits: FileLimits): string | null {
  for (const rule of RULES) {
    const fault = rule(file, limits);
    if (fault) return fault;
  }
  return null;
}

/** The same for an image that measures so much. */
export function pixelFaultOf(name: string, { width, height }: ImageSize, limits: FileLimits): string | null {
  const { pixels } = limits;
  if (pixels === null) return null;
  if (width * height > pixels) return strings.manyPixels(name, width, height, pixels);
  return Math.max(width, height) > MOST_SIDE_PX ? strings.longSides(name, width, height, MOST_SIDE_PX) : null;
}

/** Say all limits, in the order in which they matter. */
export function describeLimits({ most, bytes, pixels, types }: FileLimits): string {
  const sentences = [
    strings.mostFiles(most),
    bytes !== null && strings.largestFile(bytes),
    pixels !== null && strings.mostPixels(pixels),
    types !== null && strings.fileTypes(types),
  ];
  return sentences.filter(Boolean).join(" ");
}
