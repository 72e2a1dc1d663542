export function wordsIn(text: string): string[];
export function withoutUnusedMethods(text: string, used: Iterable<string>): string;
