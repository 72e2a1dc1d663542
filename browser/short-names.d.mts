export const SHORT_NAMES: string[];
export const shortened: RegExp;
