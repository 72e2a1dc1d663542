/** Leave the rooms that a crash or a closed laptop left behind; runs on every page that has the script. */

import { loadSection } from "./load-section";
import { hasStored, ROOM_PREFIX } from "./storage";

/** A section that wants to join waits for this for a while, so that its join comes after the leaves. */
export let sweeping: Promise<void> = Promise.resolve();

export function startSweep(): void {
  // What fails is still there: the next page tries again.
  sweeping = hasStored(ROOM_PREFIX) ? sweep().catch(() => {}) : Promise.resolve();
}

async function sweep(): Promise<void> {
  const { loadReturning } = await loadSection();
  await (await loadReturning()).leaveLeftBehind();
}
