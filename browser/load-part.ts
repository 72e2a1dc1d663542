/** Load a part of the bundle that not every page needs. */

/**
 * Return a function that loads a part once; after a failure the next call tries again.
 *
 * @param file The part's hashed name, as build.mjs fills it in, relative to this bundle.
 */
export function partLoader<T>(file: string): () => Promise<T> {
  let loading: Promise<T> | undefined;
  let failures = 0;
  return () => {
    // Browsers may remember that an address failed to load for as long as the page lives.
    const query = failures ? `?retry=${failures}` : "";
    loading ??= import(new URL(file + query, import.meta.url).href).catch((error: unknown) => {
      loading = undefined;
      failures += 1;
      throw error;
    });
    return loading as Promise<T>;
  };
}
