export const REDIRECTS: Map<string, string>;
export function redirect(specifier: string, importer: string | undefined): string | undefined;
