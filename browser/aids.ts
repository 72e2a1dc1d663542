/** What is loaded where a thread needs more than its text. */

export { foldIfTall } from "./fold";
export { openImagesInPlace } from "./lightbox";
export { NewComments } from "./new-comments";
export { Permalink } from "./permalink";
export { toNodes } from "./prose";
export { fileNode } from "./shared-file";
