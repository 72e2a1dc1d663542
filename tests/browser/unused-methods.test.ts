import { expect, test } from "vitest";
import { withoutUnusedMethods, wordsIn } from "../../browser/unused-methods.mjs";

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

test("methods that nobody names go, and with them those that only they call", () => {
  const left = withoutUnusedMethods(SOURCE, wordsIn("chat.asked(); const { size } = chat;"));
  expect(methodsOf(left)).toEqual(["begin", "size", "asked", "helper", "computed", "#own", "open"]);
  expect(() => new Function(left.replace("export", "return"))).not.toThrow();
});

test("all stay where all are named", () => {
  expect(withoutUnusedMethods(SOURCE, wordsIn(SOURCE))).toBe(SOURCE);
});
