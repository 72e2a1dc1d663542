/** The style of what only some readers need, and later: what loads styles is the entry's. */

import type { LoadStyle, styleLoader } from "./load-style";

/** The hashed name of the bundled style, filled in by build.mjs. */
declare const MORE_STYLE_FILE: string;

let load: LoadStyle | undefined;

export function loadStylesBy(newLoader: typeof styleLoader): void {
  load ??= newLoader(MORE_STYLE_FILE);
}

export const loadMoreStyle = async (): Promise<void> => load?.();
