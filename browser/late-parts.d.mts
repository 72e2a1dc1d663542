export interface Taken {
  name: string;
  file: string;
}

export function takeFromSection(text: string, taken: Taken[]): string;
export function givingSection(taken: Taken[], first: string): string;
