import { beforeEach, expect, test, vi } from "vitest";
import type { Chat, HistoryPage } from "../../browser/sdk/chat";
import { comparePages } from "../../browser/sdk/compare-pages";
import type { ThreadMessage, ThreadState } from "../../browser/thread-state";
import { ThreadSync } from "../../browser/thread-sync";
import { message } from "./messages";

let stored: ThreadMessage[];
let sync: ThreadSync;
let chat: Chat;
const history = vi.fn();

beforeEach(() => {
  stored = [];
  sync = new ThreadSync();
  history
    .mockReset()
    .mockImplementation(async (before: string | null, limit: number): Promise<HistoryPage> => {
      const end = before === null ? stored.length : stored.findIndex((it) => it.id === before);
      return { messages: stored.slice(Math.max(0, end - limit), end), cursor: null };
    });
  const fillGaps = (state: ThreadState) => comparePages(chat, state);
  chat = { isGapProof: false, history, fillGaps } as unknown as Chat;
});

function store(from: number, to: number): void {
  for (let number = from; number <= to; number += 1) stored.push(message(number, { seq: 0 }));
}

const numbers = () => sync.state.messages.map((it) => Number(it.id.slice(1)));

test("exactly one page is known to be all", async () => {
  store(1, 3);
  await sync.catchUp(chat, 3);
  expect(numbers()).toEqual([1, 2, 3]);
  expect(sync.state.hasOlder).toBe(false);
  expect(sync.hasLoaded).toBe(true);
});

test("a page that the service cut short is not taken for the beginning", async () => {
  store(1, 5);
  history.mockImplementation(async (before: string | null) => {
    const end = before === null ? stored.length : stored.findIndex((it) => it.id === before);
    const start = Math.max(0, end - 2);
    return { messages: stored.slice(start, end), cursor: null, hasMore: start > 0 };
  });
  await sync.catchUp(chat, 20);
  expect([numbers(), sync.state.hasOlder]).toEqual([[4, 5], true]);
  await sync.loadEarlier(chat, 20);
  expect([numbers(), sync.state.hasOlder]).toEqual([[2, 3, 4, 5], true]);
  await sync.loadEarlier(chat, 20);
  expect([numbers(), sync.state.hasOlder]).toEqual([[1, 2, 3, 4, 5], false]);
});

test("a page that is larger than what is shown is cut, whatever the service says", async () => {
  store(1, 4);
  history.mockResolvedValue({ messages: [...stored], cursor: null, hasMore: false });
  await sync.catchUp(chat, 3);
  expect([numbers(), sync.state.hasOlder]).toEqual([[2, 3, 4], true]);
});

test("pages are never larger than the SDK allows", async () => {
  await sync.catchUp(chat, 100);
  expect(history).toHaveBeenCalledWith(null, 100);
});

test("a gap of some pages is filled", async () => {
  store(1, 10);
  await sync.catchUp(chat, 20);
  store(11, 140);
  await sync.catchUp(chat, 20);
  expect(numbers()).toEqual(Array.from({ length: 140 }, (_, index) => index + 1));
});

test("a gap that is too wide starts the thread anew, with the way back open", async () => {
  store(1, 10);
  await sync.catchUp(chat, 20);
  history.mockClear();
  store(11, 900);
  await sync.catchUp(chat, 20);
  expect(history).toHaveBeenCalledTimes(10);
  expect(numbers()).toEqual(Array.from({ length: 500 }, (_, index) => index + 401));
  expect(sync.state.hasOlder).toBe(true);
  await sync.loadEarlier(chat, 20);
  expect(numbers()[0]).toBe(381);
});

test("a thread that became empty is empty", async () => {
  store(1, 2);
  await sync.catchUp(chat, 20);
  stored = [];
  await sync.catchUp(chat, 20);
  expect(numbers()).toEqual([]);
});

test("what was under way when the thread was forgotten goes with it", async () => {
  const answers: ((answer: unknown) => void)[] = [];
  const under = () => new Promise((resolve) => answers.push(resolve));
  const changes = vi.fn().mockImplementation(under);
  chat = { isGapProof: true, history, changes } as unknown as Chat;
  history.mockImplementation(under);
  const page = (number: number, cursor: string) => ({ messages: [message(number)], cursor, hasMore: false });

  const first = sync.catchUp(chat, 20);
  sync.forget();
  answers.shift()?.(page(1, "old"));
  await first;
  expect(sync.hasLoaded).toBe(false);

  const second = sync.catchUp(chat, 20);
  answers.shift()?.(page(2, "2"));
  await second;
  const late = sync.catchUp(chat, 20);
  sync.forget();
  const third = sync.catchUp(chat, 20);
  answers.splice(1)[0]?.(page(3, "3"));
  await third;
  answers.shift()?.({ changes: [{ message: message(9) }], cursor: "9", hasMore: true });
  await late;
  expect(numbers()).toEqual([3]);
  void sync.catchUp(chat, 20);
  expect(changes.mock.lastCall).toEqual(["3"]);
});
