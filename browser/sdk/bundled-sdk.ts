/** The SDK as it is published, on our shims: a part of its own. */

export { default as ChatixCore } from "chatix-core/src/js/chatixcore.js";
export { setApiBase } from "./shims/api-base";
export { default as axios, uploadBy } from "./shims/axios";
