import { type PartLoader, partLoader } from "./load-part";

type SectionPart = typeof import("./section");

/** The hashed names of the bundled section, with the SDK in it and without, filled in by build.mjs. */
declare const SECTION_FILE: string;
declare const HOSTED_SECTION_FILE: string;

let load: PartLoader<SectionPart> | undefined;

/** Load what runs a comment section: for all sections of a page the one that the first of them needs. */
export function loadSection(): Promise<SectionPart> {
  const isElsewhere = document.querySelector("chatix-comments[data-sdk]");
  load ??= partLoader(isElsewhere ? HOSTED_SECTION_FILE : SECTION_FILE);
  return load();
}
