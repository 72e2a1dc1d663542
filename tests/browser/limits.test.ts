import { expect, test } from "vitest";
import { limitsFrom } from "../../browser/limits";

test("reads what the site says", () => {
  const said = { message_chars: 500, name_chars: 40, page_size: 20, edit_window_s: 900 };
  const limits = { messageChars: 500, nameChars: 40, editWindowMs: 900_000, files: null };
  expect(limitsFrom(said)).toEqual(limits);
});

test("has values of its own for what may be missing, or cannot be", () => {
  const limits = { messageChars: 10_000, nameChars: 80, editWindowMs: 0, files: null };
  expect(limitsFrom({})).toEqual(limits);
  expect(limitsFrom({ message_chars: 0, name_chars: "40", edit_window_s: -1 })).toEqual(limits);
});

test.each([
  [{}, null],
  [{ files: 0, file_bytes: 9 }, null],
  [{ files: 3 }, { most: 3, bytes: null, pixels: null, types: null }],
  [
    { files: 3, file_bytes: 9, image_pixels: 50, file_types: ["image/png"] },
    { most: 3, bytes: 9, pixels: 50, types: ["image/png"] },
  ],
  [
    { files: 3, file_bytes: "9", image_pixels: -1, file_types: null },
    { most: 3, bytes: null, pixels: null, types: null },
  ],
])("reads the limits of files: %j", (said, files) => {
  expect(limitsFrom(said).files).toEqual(files);
});
