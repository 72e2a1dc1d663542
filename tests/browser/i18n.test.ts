import { expect, test } from "vitest";
import { formatBytes } from "../../browser/amounts";
import { formatAge, formatFully, formatNumber } from "../../browser/i18n";

const now = new Date(2026, 6, 15, 12, 0, 0);
const before = (seconds: number) => new Date(now.getTime() - seconds * 1000);

test.each<[Date, string]>([
  [before(-90), "just now"],
  [before(0), "just now"],
  [before(59), "just now"],
  [before(60), "1 minute ago"],
  [before(59 * 60 + 59), "59 minutes ago"],
  [before(3600), "1 hour ago"],
  [before(23 * 3600), "23 hours ago"],
  [before(24 * 3600), "yesterday"],
  [before(6 * 24 * 3600), "6 days ago"],
  [before(7 * 24 * 3600), "Jul 8"],
  [new Date(2025, 11, 31), "Dec 31, 2025"],
])("%j is %j", (moment, age) => {
  expect(formatAge(moment, now)).toBe(age);
});

test("numbers and full dates", () => {
  expect(formatNumber(10_000)).toBe("10,000");
  expect(formatFully(now)).toMatch(/^Wednesday, July 15, 2026 at 12:00\sPM$/);
});

test.each([
  [0, "0 B"],
  [1023, "1,023 B"],
  [1024, "1 kB"],
  [1_600_000, "1.5 MB"],
  [20 * 1024 ** 2, "20 MB"],
  [5 * 1024 ** 4, "5,120 GB"],
])("%i bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
