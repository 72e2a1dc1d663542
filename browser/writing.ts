/** What is loaded when somebody begins to write. */

export { CommentTools } from "./comment-tools";
export { Delivery } from "./delivery";
export { uploadFile } from "./sdk/upload";
