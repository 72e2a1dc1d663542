import { afterEach, expect, test, vi } from "vitest";
import * as sweep from "../../browser/sweep";

afterEach(() => {
  vi.resetModules();
});

test("defines the element and sweeps, once, however often the script is on the page", async () => {
  const startSweep = vi.spyOn(sweep, "startSweep").mockImplementation(() => {});
  await import("../../browser/index");
  const defined = customElements.get("chatix-comments");
  expect(defined).toBeDefined();
  expect(startSweep).toHaveBeenCalledOnce();
  vi.resetModules();
  await import("../../browser/index");
  expect(customElements.get("chatix-comments")).toBe(defined);
});
