/** What chatix-core's `import lzString from "lz-string"` is bundled to: only screen broadcasts compress. */
export default { compressToUTF16: (text: string): string => text };
