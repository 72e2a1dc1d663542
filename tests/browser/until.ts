import { vi } from "vitest";

const STEP_MS = 50;

/** Let faked time pass until `check` no longer throws; its last complaint is the failure. */
export async function until(check: () => void, deadlineMs = 120_000): Promise<void> {
  for (let passed = 0; ; passed += STEP_MS) {
    try {
      check();
      return;
    } catch (error) {
      if (passed >= deadlineMs) throw error;
    }
    await vi.advanceTimersByTimeAsync(STEP_MS);
  }
}
