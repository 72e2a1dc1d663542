/** Load a part of the bundle that not every page needs. */

export interface PartLoader<T> {
  /** Load it, once; after a failure the next call tries again. */
  (): Promise<T>;
  /** What was loaded; `null` before. */
  readonly loaded: T | null;
}

/**
 * Make the loader of a part.
 *
 * @param file The part's hashed name, as build.mjs fills it in, relative to this bundle.
 * @param loadStyle Loads what it looks like, where that comes late as well.
 */
export function partLoader<T>(file: string, loadStyle?: () => Promise<void>): PartLoader<T> {
  let loading: Promise<T> | undefined;
  let failures = 0;
  const load = () => {
    // Browsers may remember that an address failed to load for as long as the page lives.
    const query = failures ? `?retry=${failures}` : "";
    loading ??= Promise.all([import(new URL(file + query, import.meta.url).href), loadStyle?.()]).then(
      ([part]) => {
        loader.loaded = part;
        return part;
      },
      (error: unknown) => {
        loading = undefined;
        failures += 1;
        throw error;
      },
    );
    return loading;
  };
  const loader = Object.assign(load, { loaded: null as T | null });
  return loader;
}
