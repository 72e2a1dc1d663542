/** Leave the rooms that a crash or a closed laptop left behind; runs on every page that has the script. */

import { loadSection } from "./load-section";
import { findStorage, PREFIX } from "./room-ledger";

/** A section that wants to join waits for this for a while, so that its join comes after the leaves. */
export let sweeping: Promise<void> = Promise.resolve();

export function startSweep(): void {
  // What fails is still there: the next page tries again.
  sweeping = hasEntries() ? sweep().catch(() => {}) : Promise.resolve();
}

async function sweep(): Promise<void> {
  const { loadLeftBehind } = await loadSection();
  await (await loadLeftBehind()).leaveLeftBehind();
}

function hasEntries(): boolean {
  return Object.keys(findStorage() ?? {}).some((key) => key.startsWith(PREFIX));
}
