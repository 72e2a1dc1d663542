/**
 * How many pixels an image has, by its first bytes: nothing is decoded, so that a small file which unfolds to a
 * huge picture costs nothing.
 */

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Enough for all formats but JPEG, which has its size in a segment somewhere behind. */
const HEAD_BYTES = 32;
const MOST_JPEG_SEGMENTS = 500;

type Reader = (head: DataView, file: Blob) => ImageSize | null | Promise<ImageSize | null>;

const READERS: readonly (readonly [offset: number, signature: string, reader: Reader])[] = [
  [1, "PNG\r\n", (head) => size(head.getUint32(16), head.getUint32(20))],
  [0, "GIF8", (head) => size(head.getUint16(6, true), head.getUint16(8, true))],
  // WebP: three kinds of first chunk (developers.google.com/speed/webp/docs/riff_container).
  [8, "WEBPVP8 ", (head) => size(head.getUint16(26, true) & 0x3fff, head.getUint16(28, true) & 0x3fff)],
  [8, "WEBPVP8L", (head) => size(bits(head, 21, 0) + 1, bits(head, 21, 14) + 1)],
  [8, "WEBPVP8X", (head) => size(uint24(head, 24) + 1, uint24(head, 27) + 1)],
  [0, "\xff\xd8\xff", (_head, file) => jpegSize(file)],
];

/**
 * Return the size that an image claims; `null` for what is no image, or none that is known here.
 *
 * Rejects when the file cannot be read: it is a folder, or was changed or removed.
 */
export async function imageSize(file: Blob): Promise<ImageSize | null> {
  const head = await read(file, 0, HEAD_BYTES);
  const known = READERS.find(([offset, signature]) => startsWith(head, offset, signature));
  return known && head.byteLength === HEAD_BYTES ? known[2](head, file) : null;
}

/** Walk over the segments up to the start of a frame (ITU-T T.81, B.1.1 and B.2.2). */
async function jpegSize(file: Blob): Promise<ImageSize | null> {
  let position = 2;
  for (let segment = 0; segment < MOST_JPEG_SEGMENTS; segment += 1) {
    const data = await read(file, position, 9);
    if (data.byteLength < 9 || data.getUint8(0) !== 0xff) return null;
    if (startsFrame(data.getUint8(1))) return size(data.getUint16(7), data.getUint16(5));
    position += 2 + data.getUint16(2);
  }
  return null;
}

/** SOF0 to SOF15; three of these codes mean something else. */
const startsFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

async function read(file: Blob, start: number, length: number): Promise<DataView> {
  return new DataView(await file.slice(start, start + length).arrayBuffer());
}

const startsWith = (data: DataView, offset: number, signature: string): boolean =>
  data.byteLength >= offset + signature.length &&
  [...signature].every((character, index) => data.getUint8(offset + index) === character.charCodeAt(0));

const bits = (data: DataView, offset: number, shift: number) =>
  (data.getUint32(offset, true) >>> shift) & 0x3fff;

const uint24 = (data: DataView, offset: number) => data.getUint32(offset, true) & 0xffffff;

const size = (width: number, height: number): ImageSize => ({ width, height });
