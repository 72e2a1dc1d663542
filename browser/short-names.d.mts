export const SHORT_NAMES: string[];
export const MEMORY_NAMES: string[];
export const shortened: RegExp;
