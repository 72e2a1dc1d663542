/** Stands for hub-sdk.ts where hardly anybody needs it: a page from before the site moved to another hub. */
export { loadSdk as loadHubSdk } from "./load-sdk";
