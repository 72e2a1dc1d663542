/**
 * Where the SDK's requests really go.
 *
 * The SDK has the vendor's address as a constant in two files and no way to set another at run time. All
 * its URLs carry the website id, so that is what the address is looked up by.
 */

/** The constant in chatix-core's connection.js and chat.js. */
export const VENDOR_API_URL = "https://app1.chatix.io:5022/v1";

const bases = new Map<string, string>();

/** Let all URLs that the SDK builds for this website lead to `apiUrl`. */
export function setApiBase(websiteId: string, apiUrl: string): void {
  bases.set(websiteId, apiUrl.replace(/\/+$/, ""));
}

/** Return `url` with the vendor's prefix replaced; other URLs as they are. */
export function rebase(url: string): string {
  if (!url.startsWith(VENDOR_API_URL)) return url;
  const websiteId = new URL(url).searchParams.get("websiteId") ?? "";
  return (bases.get(websiteId) ?? VENDOR_API_URL) + url.slice(VENDOR_API_URL.length);
}

/** Return the address of the hub connection, spelled as the SDK spells it (connection.js:start). */
export function chatUrl(apiUrl: string, websiteId: string, visitorId: string): string {
  return `${apiUrl.replace(/\/+$/, "")}/chat?visitorId=${visitorId}&websiteId=${websiteId}`;
}
