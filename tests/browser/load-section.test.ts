import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.resetModules();
});

test("loads once for all that ask", async () => {
  const { loadSection } = await import("../../browser/load-section");
  const [first, second] = await Promise.all([loadSection(), loadSection()]);
  expect(first).toBe(second);
  expect(first.openSection).toBeTypeOf("function");
  expect(first.loadReturning).toBeTypeOf("function");
});
