/** What is loaded when somebody begins to write. */

export { CommentActions } from "./comment-actions";
export { Delivery } from "./delivery";
export { uploadFile } from "./sdk/upload";
