import { expect, test } from "vitest";
import { imageSize } from "../../browser/image-size";

/** Bytes from hexadecimal digits; letters in quotes stand for themselves. */
function bytes(text: string): Uint8Array<ArrayBuffer> {
  const parts = text.match(/'[^']*'|[0-9a-f]{2}/g) ?? [];
  const values = parts.flatMap((part) =>
    part.startsWith("'") ? [...part.slice(1, -1)].map((it) => it.charCodeAt(0)) : [Number.parseInt(part, 16)],
  );
  return new Uint8Array(values);
}

const file = (text: string, length = 64) => new Blob([bytes(text), new Uint8Array(length)]);

const JPEG_HEAD = "ffd8 ffe0 0010 'JFIF' 00 0102 00 0048 0048 0000";

test.each([
  ["PNG", "89 'PNG' 0d0a1a0a 0000000d 'IHDR' 00007530 00009c40 08060000", 30_000, 40_000],
  ["GIF", "'GIF89a' 4001 f000 80", 320, 240],
  ["WebP, lossy", "'RIFF' 24000000 'WEBPVP8 ' 18000000 300100 9d012a 9001 2c41", 400, 300],
  ["WebP, lossless", "'RIFF' 24000000 'WEBPVP8L' 18000000 2f 8fc14a00", 400, 300],
  ["WebP, extended", "'RIFF' 24000000 'WEBPVP8X' 0a000000 10000000 8f0100 2b0100", 400, 300],
  ["JPEG", `${JPEG_HEAD} ffdb 0004 0000 ffc0 0011 08 012c 0190 03`, 400, 300],
  ["JPEG, progressive", `${JPEG_HEAD} ffc4 0003 00 ffc2 0011 08 012c 0190 03`, 400, 300],
])("%s says how large it is", async (_name, content, width, height) => {
  expect(await imageSize(file(content))).toEqual({ width, height });
});

test("a JPEG says it behind whatever a camera put before", async () => {
  const segment = `ffe1 ffff ${"00".repeat(0xffff - 2)}`;
  expect(await imageSize(file(`ffd8 ${segment.repeat(3)} ffc1 0011 08 0001 0002 03`))).toEqual({
    width: 2,
    height: 1,
  });
});

test.each([
  ["nothing", "", 0],
  ["text", "'GIF'", 64],
  ["SVG", "'<svg xmlns='", 64],
  ["the beginning of a PNG", "89 'PNG' 0d0a1a0a 0000000d", 0],
  ["a JPEG that is cut off", JPEG_HEAD, 0],
  ["a JPEG that is none behind its first segment", JPEG_HEAD, 64],
  ["a JPEG of segments only", `ffd8 ${"ffe0 0002".repeat(600)}`, 64],
])("%s has no size", async (_name, content, length) => {
  expect(await imageSize(file(content, length))).toBeNull();
});

test("what cannot be read is an error", async () => {
  const folder = new File([], "folder");
  folder.slice = () =>
    ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) }) as Blob;
  await expect(imageSize(folder)).rejects.toThrow();
});
