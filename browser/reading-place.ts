/** Keep what is being read where it is on the screen, whatever comes, grows or goes above it. */

/**
 * Make a change to the page without moving what the reader looks at.
 *
 * Browsers that anchor the scroll by themselves find that nothing is left to do.
 *
 * @param form What is being written in stays, rather than what is being read.
 * @param region Where the changes happen; of a reader who is below it, the place below it is kept.
 */
export function keepPlace(
  list: HTMLElement,
  form: HTMLElement,
  region: HTMLElement,
  change: () => void,
): void {
  const marks = marksOf(list, form, region).map((element) => ({ element, before: edgeOf(element, region) }));
  change();
  const kept = marks.find(({ element }) => element.isConnected);
  if (!kept) return;
  const moved = edgeOf(kept.element, region) - kept.before;
  if (moved) scrollBy({ top: moved, behavior: "instant" });
}

/** What is on the screen, in the order in which it should stay; the first may be about to go. */
function marksOf(list: HTMLElement, form: HTMLElement, region: HTMLElement): Element[] {
  if (form.contains(document.activeElement)) return [form];
  const { top, bottom } = region.getBoundingClientRect();
  if (bottom < 0) return [region];
  // A section of which the beginning is on the screen, or none of it: nothing above it changes.
  if (top >= 0) return [];
  return [...list.children, form].filter(isOnScreen);
}

/** Of the region it is the end that is before the reader's eyes; of anything else the beginning. */
const edgeOf = (element: Element, region: HTMLElement): number =>
  element.getBoundingClientRect()[element === region ? "bottom" : "top"];

/** Whether any of it can be seen in the window. */
export function isOnScreen(element: Element): boolean {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom >= 0 && top <= innerHeight;
}
