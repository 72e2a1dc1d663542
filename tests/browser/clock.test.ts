import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { everyTick } from "../../browser/clock";

const START = 1_700_000_000_000;

let isHidden: boolean;
let ends: (() => void)[];

function listen(): number[] {
  const ticks: number[] = [];
  ends.push(everyTick((lateMs) => ticks.push(lateMs)));
  return ticks;
}

function setHidden(value: boolean): void {
  isHidden = value;
  document.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  isHidden = false;
  ends = [];
  vi.spyOn(document, "hidden", "get").mockImplementation(() => isHidden);
});

afterEach(() => {
  for (const end of ends) end();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("all who listen share one timer, and it ends with the last of them", () => {
  const [one, other] = [listen(), listen()];
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect([one, other]).toEqual([
    [0, 0],
    [0, 0],
  ]);
  ends[0]?.();
  vi.advanceTimersByTime(30_000);
  expect([one.length, other.length]).toEqual([2, 3]);
});

test("nothing ticks while nobody sees the page, and once as soon as somebody does", () => {
  const ticks = listen();
  setHidden(true);
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(3_600_000);
  expect(ticks).toEqual([]);
  setHidden(false);
  expect(ticks).toEqual([0]);
  vi.advanceTimersByTime(30_000);
  expect(ticks).toEqual([0, 0]);
});

test("a machine that has slept is late", () => {
  const ticks = listen();
  vi.setSystemTime(START + 3_600_000);
  vi.advanceTimersByTime(30_000);
  expect(ticks).toEqual([3_600_000]);
});
