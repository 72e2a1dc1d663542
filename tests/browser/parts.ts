import { loadAids } from "../../browser/load-aids";
import { loadPicture } from "../../browser/load-picture";
import { loadReturning } from "../../browser/load-returning";
import { loadWriting } from "../../browser/load-writing";
import { loadSdk } from "../../browser/sdk/load-sdk";
import { loadHosted } from "../../browser/sdk/new-chat";

/** Load all parts that a section may ask for: faked time does not wait for a file. */
export async function loadParts(): Promise<void> {
  await Promise.all([loadSdk(), loadHosted(), loadAids(), loadPicture(), loadWriting(), loadReturning()]);
}
