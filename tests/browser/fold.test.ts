import { beforeEach, expect, test } from "vitest";
import { foldIfTall } from "../../browser/fold";
import { isTall } from "../../browser/rich-text";

const TALL = "a line\n".repeat(31);

let article: HTMLElement;

beforeEach(() => {
  article = document.createElement("article");
  article.innerHTML = `<p></p><div class="chatix-text"><a href="#">a link far below</a></div>`;
  document.body.replaceChildren(article);
});

const button = () => article.querySelector<HTMLButtonElement>("button");
const look = () => [
  button()?.textContent,
  button()?.getAttribute("aria-expanded"),
  article.classList.contains("chatix-folded"),
];
const FOLDED = ["Show more", "false", true];
const UNFOLDED = ["Show less", "true", false];
const WHOLE = [undefined, undefined, false];

test.each([
  ["short", false],
  ["a line\n".repeat(29), false],
  [TALL, true],
  ["x".repeat(70 * 30), false],
  ["x".repeat(70 * 30 + 1), true],
  ["🧵".repeat(35 * 30), false],
  ["🧵".repeat(35 * 30 + 1), true],
  ["\n".repeat(40), true],
])("is %# tall?", (text, expected) => {
  expect(isTall(text)).toBe(expected);
});

test("a tall comment is folded until the reader wants more, and again", () => {
  foldIfTall(article, TALL);
  expect(look()).toEqual(FOLDED);
  button()?.click();
  expect(look()).toEqual(UNFOLDED);
  button()?.click();
  expect(look()).toEqual(FOLDED);
});

test("what is unfolded stays so when it is edited, and an edit may make it short", () => {
  foldIfTall(article, TALL);
  button()?.click();
  foldIfTall(article, `${TALL}more`);
  expect(look()).toEqual(UNFOLDED);
  expect(article.querySelectorAll("button")).toHaveLength(1);
  foldIfTall(article, "short now");
  expect(look()).toEqual(WHOLE);
});

test("the keyboard unfolds what it gets to", () => {
  foldIfTall(article, TALL);
  article.querySelector("a")?.focus();
  expect(look()).toEqual(UNFOLDED);
});

test.each([TALL, "short now"])("what the site has said of it is over when the script has it", (text) => {
  article.className = "chatix-comment chatix-tall";
  foldIfTall(article, text);
  expect(article.classList.contains("chatix-tall")).toBe(false);
});

test("a short one is left alone", () => {
  foldIfTall(article, "short");
  expect(look()).toEqual(WHOLE);
});
