export function wordsIn(text: string): string[];
export function reachedNames(text: string, used: Iterable<string>): Set<string>;
export function withoutUnused(text: string, reached: ReadonlySet<string | null>): string;
