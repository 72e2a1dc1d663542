/** The one timer of all sections of a page; it ticks while the page can be seen. */

const TICK_MS = 30_000;

/** @param lateMs By how much the tick is late: the machine has slept for so long. */
type Listener = (lateMs: number) => void;

const listeners = new Set<Listener>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Call back every half a minute, and when the page is looked at again; return what ends that. */
export function everyTick(listener: Listener): () => void {
  if (listeners.size === 0) {
    document.addEventListener("visibilitychange", onVisibility);
    wait();
  }
  listeners.add(listener);
  return () => {
    if (listeners.delete(listener) && listeners.size === 0) {
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(timer);
    }
  };
}

function onVisibility(): void {
  clearTimeout(timer);
  if (!document.hidden) tick(0);
}

function wait(): void {
  clearTimeout(timer);
  const due = Date.now() + TICK_MS;
  if (!document.hidden) timer = setTimeout(() => tick(Date.now() - due), TICK_MS);
}

function tick(lateMs: number): void {
  for (const listener of [...listeners]) listener(lateMs);
  if (listeners.size > 0) wait();
}
