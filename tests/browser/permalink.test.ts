import { beforeEach, expect, test, vi } from "vitest";
import { linkedId, Permalink } from "../../browser/permalink";

const PAGE = 3;

let ids: string[];
let older: string[];
let loads: number;
let permalink: Permalink;

/** A thread of which only the newest page is on the page; it loads others as long as `mayLoad` allows. */
function threadOf(length: number, mayLoad: () => void = () => {}): void {
  const all = Array.from({ length }, (_, index) => `m${index + 1}`);
  ids = all.splice(-PAGE);
  older = all;
  loads = 0;
  permalink = new Permalink({
    articleOf: (id) => document.getElementById(id) ?? undefined,
    get hasOlder() {
      return older.length > 0;
    },
    loadEarlier: async () => {
      loads += 1;
      mayLoad();
      ids = [...older.splice(-PAGE), ...ids];
      show();
    },
  });
  show();
}

function show(): void {
  for (const id of ids) {
    if (document.getElementById(id)) continue;
    const article = document.createElement("article");
    article.id = id;
    document.body.append(article);
  }
}

const goTo = (hash: string) => history.replaceState(null, "", hash);
const marked = () => document.querySelector(".chatix-linked")?.id ?? null;

beforeEach(() => {
  document.body.replaceChildren();
  Element.prototype.scrollIntoView = vi.fn();
  goTo("#");
});

test.each([
  ["#comment-m1", "m1"],
  ["#comment-a%20b", "a b"],
  ["#comment-", null],
  ["#comment-%E0%A4%A", null],
  ["#comments", null],
  ["", null],
])("%j names %j", (hash, id) => {
  expect(linkedId(hash)).toBe(id);
});

test("what the line has broken off is taken up by the next call", async () => {
  threadOf(9, () => {
    if (loads === 2) throw new Error("no line");
  });
  goTo("#comment-m1");
  await permalink.follow();
  expect([marked(), loads]).toEqual([null, 2]);
  await permalink.follow();
  expect([marked(), document.activeElement?.id]).toEqual(["m1", "m1"]);
  expect(loads).toBe(3);
});

test("a comment that is nowhere is looked for so far back, and no farther; once", async () => {
  threadOf(200);
  goTo("#comment-nobody");
  await permalink.follow();
  await permalink.follow();
  expect([marked(), loads]).toEqual([null, 20]);
});

test("two calls at once page back once", async () => {
  threadOf(9);
  goTo("#comment-m1");
  await Promise.all([permalink.follow(), permalink.follow()]);
  expect([marked(), loads]).toEqual(["m1", 2]);
});
