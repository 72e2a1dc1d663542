/** What is loaded when somebody begins to write. */

export { Delivery } from "./delivery";
export { uploadBySdk } from "./sdk/upload";
