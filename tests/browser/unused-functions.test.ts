import { expect, test } from "vitest";
import { reachedNames, withoutUnused, wordsIn } from "../../browser/unused-functions.mjs";

const SOURCE = `
  class Chat {
    constructor() { this.begin(); }
    begin() { return this.connection.open(1); }
    static from(data) { return new Chat(data); }
    get size() { return 0; }
    async asked() { return this.helper(); }
    helper() { return "}"; }
    forgotten() { return this.alone(); }
    alone() {}
    ["computed"]() {}
    #own() {}
  }
  class Connection { open() {} close() {} }
  export { Chat, Connection };`;

const methodsOf = (text: string) =>
  [
    "begin",
    "from",
    "size",
    "asked",
    "helper",
    "forgotten",
    "alone",
    "computed",
    "#own",
    "open",
    "close",
  ].filter((name) => new RegExp(`${name}["\\]]*\\(`).test(text));

const leftOf = (source: string, use: string) => withoutUnused(source, reachedNames(source, wordsIn(use)));

test("methods that nobody names go, and with them those that only they call", () => {
  const left = leftOf(SOURCE, "chat.asked(); const { size } = chat;");
  expect(methodsOf(left)).toEqual(["begin", "size", "asked", "helper", "computed", "#own", "open"]);
  expect(() => new Function(left.replace("export", "return"))).not.toThrow();
});

test("all stay where all are named", () => {
  expect(leftOf(SOURCE, SOURCE)).toBe(SOURCE);
});

const CALLBACKS = `
  class Core {
    constructor() {
      this.onOpen = function(){};
      this.onNews = function(){};
      this.onLater = null;
      this.chat = new Chat();
      this.chat.onOpen = () => { this.onOpen(); };
      this.chat.onNews = (news) => { if (typeof this.onNews === "function") { this.onNews(news); } };
    }
    start() { return this.chat.start(); }
  }
  class Chat {
    async start() {
      this.hubConnection.on("News", (news) => { this.onNews(Chat.read(news)); });
      this.hubConnection.on("Kept", handler);
      this.onOpen();
    }
  }
  Chat.read = function (data) { return data; };
  Chat.KIND = 1;
  export { Core };`;

test("callbacks go that only what listens for the SDK itself would call", () => {
  const left = leftOf(CALLBACKS, "core.start();");
  expect(left).not.toMatch(/onNews|"News"|read/);
  for (const kept of ["this.onOpen = function", "chat.onOpen =", "onLater = null", '"Kept"', "KIND = 1"])
    expect(left).toContain(kept);
});

test("callbacks stay that somebody sets", () => {
  const left = leftOf(CALLBACKS, "core.onNews = show; core.start();");
  expect(left.match(/onNews/g)).toHaveLength(4);
});
