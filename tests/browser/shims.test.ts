import { beforeEach, describe, expect, test, vi } from "vitest";
import { redirect } from "../../browser/sdk/redirects.mjs";
import { chatUrl, rebase, setApiBase, VENDOR_API_URL } from "../../browser/sdk/shims/api-base";
import axios, { RequestError } from "../../browser/sdk/shims/axios";
import lzString from "../../browser/sdk/shims/lz-string";
import ScreenBroadcast from "../../browser/sdk/shims/screen-broadcast";
import { HubConnectionBuilder, LogLevel } from "../../browser/sdk/shims/signalr";

describe("addresses", () => {
  test("of the vendor lead where the site says, website by website", () => {
    setApiBase("one", "http://hub.test:5001/v1/");
    setApiBase("two", "https://example.org/hub/v1");
    expect(rebase(`${VENDOR_API_URL}/chat?visitorId=v&websiteId=one`)).toBe(
      "http://hub.test:5001/v1/chat?visitorId=v&websiteId=one",
    );
    expect(rebase(`${VENDOR_API_URL}/visitor/get-id?websiteId=two`)).toBe(
      "https://example.org/hub/v1/visitor/get-id?websiteId=two",
    );
  });

  test("of unknown websites, and of others, stay", () => {
    const unknown = `${VENDOR_API_URL}/chat?visitorId=v&websiteId=unknown`;
    expect(rebase(unknown)).toBe(unknown);
    expect(rebase(`${VENDOR_API_URL}/chat`)).toBe(`${VENDOR_API_URL}/chat`);
    expect(rebase("https://elsewhere.example/?websiteId=one")).toBe(
      "https://elsewhere.example/?websiteId=one",
    );
  });

  test("of a restart are spelled as the SDK spells them", () => {
    expect(chatUrl("http://hub.test/v1/", "local", "ticket")).toBe(
      "http://hub.test/v1/chat?visitorId=ticket&websiteId=local",
    );
  });
});

describe("imports", () => {
  const sdk = "/blog/node_modules/chatix-core/src/js/connection.js";

  test("of the SDK are redirected, on every system", () => {
    for (const name of ["@aspnet/signalr", "axios", "lz-string", "./screenBroadcast"]) {
      expect(redirect(name, sdk)).toMatch(/browser[\\/]sdk[\\/]shims[\\/][\w-]+\.ts$/);
      expect(redirect(name, sdk.replaceAll("/", "\\"))).toBeDefined();
    }
  });

  test("of anybody else, and all others of the SDK, are not", () => {
    expect(redirect("axios", "/blog/browser/section.ts")).toBeUndefined();
    expect(redirect("axios", undefined)).toBeUndefined();
    expect(redirect("./message", sdk)).toBeUndefined();
  });
});

describe("axios", () => {
  const answers = vi.fn();
  beforeEach(() => {
    answers.mockReset();
    vi.stubGlobal("fetch", answers);
  });

  test("get reads text and JSON alike", async () => {
    answers.mockResolvedValueOnce(new Response('"an id"'));
    expect(await axios.get("https://x.example/")).toEqual({ data: "an id", status: 200 });
    answers.mockResolvedValueOnce(new Response("an id"));
    expect(await axios.get("https://x.example/")).toEqual({ data: "an id", status: 200 });
  });

  test("fails as axios does", async () => {
    answers.mockResolvedValueOnce(new Response("no such website", { status: 404 }));
    const failure = await axios.get("https://x.example/").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RequestError);
    expect((failure as RequestError).response).toEqual({ data: "no such website", status: 404 });
  });
});

describe("the connection", () => {
  const build = () =>
    new HubConnectionBuilder().withUrl("http://hub.test/").configureLogging(LogLevel.Error).build();

  test("takes the SDK's time limit and its handler of the end, and goes by neither", () => {
    const connection = build();
    connection.serverTimeoutInMilliseconds = 1e9;
    expect(connection.onclose(() => {})).toBeUndefined();
    expect(connection.state).toBe("Disconnected");
  });
});

test("what is not used is nothing", () => {
  expect(lzString.compressToUTF16("text")).toBe("text");
  expect(new ScreenBroadcast().managerEvents()).toBeUndefined();
});
