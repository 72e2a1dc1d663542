/**
 * What is done with a picture before it is posted: a part of its own, for those who attach one.
 *
 * Previews are drawn on a canvas: that needs no address for the file, and so no `blob:` in a site's policy.
 */

import { make } from "./dom";
import type { ImageSize } from "./image-size";

export { imageSize } from "./image-size";

const PREVIEW_PX = 96;
/** To decode more than this for a small picture is not worth the memory. */
const MOST_PREVIEW_PIXELS = 50_000_000;

/** A picture that the browser cannot decode leaves the extension in its place. */
export async function drawPreview(
  preview: HTMLElement,
  file: File,
  { width, height }: ImageSize,
): Promise<void> {
  if (width * height > MOST_PREVIEW_PIXELS) return;
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: PREVIEW_PX, resizeQuality: "medium" });
    const canvas = make("canvas", { width: String(bitmap.width), height: String(bitmap.height) });
    canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
    preview.replaceChildren(canvas);
  } catch {}
}
