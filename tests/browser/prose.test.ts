import { describe, expect, test, vi } from "vitest";
import { safeUrl, toNodes } from "../../browser/prose";

function rendered(text: string): { text: string; links: [string, string][] } {
  const element = document.createElement("div");
  element.append(toNodes(text, document));
  const links = [...element.querySelectorAll("a")].map((it): [string, string] => [
    it.textContent ?? "",
    it.href,
  ]);
  expect(element.querySelectorAll(":not(a)")).toHaveLength(0);
  return { text: element.textContent ?? "", links };
}

describe("text", () => {
  test.each([
    "plain",
    "two\nlines\n\nand a third",
    "<b>bold</b> <img src=x onerror=alert(1)> &lt; &amp;",
    "javascript:alert(1) data:text/html,x vbscript:x ftp://example.org file:///etc/passwd",
    "http:// https://",
    "\u202eright to left\u202c",
    "https://user:password@example.org/",
  ])("%j stays what it is", (text) => {
    expect(rendered(text)).toEqual({ text, links: [] });
  });
});

describe("links", () => {
  test.each<[string, string]>([
    ["See https://example.org.", "https://example.org"],
    ["(https://example.org/a_(b))", "https://example.org/a_(b)"],
    ["[https://example.org/x], and", "https://example.org/x"],
    ['"https://example.org/x?a=1&b=2#c"', "https://example.org/x?a=1&b=2#c"],
    ["HTTPS://Example.org/Path!", "HTTPS://Example.org/Path"],
    ["http://[::1]:5001/x", "http://[::1]:5001/x"],
    ["«https://example.org/ü»", "https://example.org/ü"],
    ["https://example.org/a,b;c:d?e", "https://example.org/a,b;c:d?e"],
    ["*https://example.org*", "https://example.org"],
    ["https://example.org:8443/x", "https://example.org:8443/x"],
    ["https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"],
  ])("in %j", (text, address) => {
    const found = rendered(text);
    expect(found.text).toBe(text);
    expect(found.links).toEqual([[address, new URL(address).href]]);
  });

  test("several, with the text between them", () => {
    const text = "https://a.example/ and\nhttps://b.example/?q=1, both";
    expect(rendered(text).text).toBe(text);
    expect(rendered(text).links.map(([label]) => label)).toEqual([
      "https://a.example/",
      "https://b.example/?q=1",
    ]);
  });

  test.each<[string, string, string]>([
    ["letters of another alphabet", "https://\u0430pple.com/x", "https://xn--pple-43d.com/x"],
    [
      "what looks like a slash",
      "https://bank.example\u2044login.evil.example/",
      "https://bank.xn--examplelogin-xk0g.evil.example/",
    ],
    [
      "letters that are dropped",
      "https://bank.example\u034f.evil.example",
      "https://bank.example.evil.example/",
    ],
    ["wide letters", "https://\uff45vil.example/", "https://evil.example/"],
    ["escapes", "https://%65vil.example/", "https://evil.example/"],
    ["a number", "http://0x7f.1/", "http://127.0.0.1/"],
    ["more slashes", "https:////evil.example/", "https://evil.example/"],
    ["an empty user", "https://@evil.example/bank.example", "https://evil.example/bank.example"],
  ])("with %s in the host say where they lead", (_, address, href) => {
    expect(rendered(`at ${address} now`)).toEqual({ text: `at ${href} now`, links: [[href, href]] });
  });

  test("a backslash ends the host, as browsers see it", () => {
    const address = String.raw`https://evil.example\bank.example`;
    expect(rendered(address).links).toEqual([[address, "https://evil.example/bank.example"]]);
  });

  test.each([
    "\u200b",
    "\u00ad",
    "\u2060",
    "\ufeff",
    "\u200e",
    "\u202a",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u061c",
    "\u0007",
  ])("end at %j, which is not seen", (unseen) => {
    const text = `https://good.example${unseen}.evil.example/`;
    expect(rendered(text)).toEqual({ text, links: [["https://good.example", "https://good.example/"]] });
  });

  test("are not turned by what stands around them", () => {
    const text = "\u202ehttps://evil.example/moc.knab//:sptth\u202c";
    const anchor = toNodes(text, document).querySelector("a");
    expect(anchor?.textContent).toBe("https://evil.example/moc.knab//:sptth");
    expect(anchor?.dir).toBe("ltr");
  });

  test("vouch for nothing and tell nothing", () => {
    const anchor = toNodes("https://example.org", document).querySelector("a");
    expect(anchor?.rel).toBe("nofollow ugc noopener noreferrer");
    expect(anchor?.hasAttribute("target")).toBe(false);
  });

  test.each<[string, string]>([
    ["https://a.example/(()){{}}]).", "https://a.example/(()){{}}"],
    ["https://a.example/(x]).)…]", "https://a.example/(x])"],
    ["https://a.example/((", "https://a.example/(("],
    ["https://a.example/x)]}.,:;!?…*_~)", "https://a.example/x"],
  ])("end before what belongs to the sentence, in %j", (text, address) => {
    expect(rendered(text).links.map(([label]) => label)).toEqual([address]);
  });

  test("hostile runs are looked at once", () => {
    const charAt = vi.spyOn(String.prototype, "charAt");
    for (const tail of [`${".".repeat(900)}x${")".repeat(900)}`, ").".repeat(900), "((((]]]]".repeat(200)]) {
      charAt.mockClear();
      const text = `https://example.org/${tail}`;
      expect(rendered(text).text).toBe(text);
      expect(charAt.mock.calls.length).toBeLessThanOrEqual(text.length);
    }
    charAt.mockRestore();
  });

  test("are no longer than anybody follows", () => {
    const longest = `https://example.org/${"x".repeat(1_980)}`;
    expect(rendered(longest).links).toHaveLength(1);
    const url = vi.spyOn(globalThis, "URL");
    for (const text of [`${longest}x`, `https://a.b/${".".repeat(30_000)}x${")".repeat(30_000)}`]) {
      expect(rendered(text)).toEqual({ text, links: [] });
    }
    expect(url).not.toHaveBeenCalled();
    url.mockRestore();
  });
});

test("safeUrl lets http and https through, and nothing else", () => {
  expect(safeUrl("https://example.org/a b")).toBe("https://example.org/a%20b");
  for (const address of [
    null,
    "",
    "x",
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)",
    "/relative",
    "blob:https://x/y",
  ]) {
    expect(safeUrl(address)).toBeNull();
  }
});
