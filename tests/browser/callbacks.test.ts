import { expect, test, vi } from "vitest";
import { hearAlso } from "../../browser/sdk/callbacks";

type Handler = ((...parameters: unknown[]) => unknown) | undefined;

const objectWith = (handler: Handler) => ({ onMessage: handler });

test("both hear, the owner first and with its own this and answer", () => {
  const order: unknown[] = [];
  const core = objectWith(function (this: unknown, text) {
    order.push(["owner", text, this === core]);
    return "answer";
  });
  hearAlso(core, "onMessage", (text) => order.push(["ours", text]));
  expect(core.onMessage?.("hello")).toBe("answer");
  expect(order).toEqual([
    ["owner", "hello", true],
    ["ours", "hello"],
  ]);
});

test("a handler that the owner sets later takes the place of the owner's, not of ours", () => {
  const [first, second, ours] = [vi.fn(), vi.fn(), vi.fn()];
  const core = objectWith(first);
  hearAlso(core, "onMessage", ours);
  core.onMessage = second;
  core.onMessage(1);
  expect([first, second, ours].map((it) => it.mock.calls.length)).toEqual([0, 1, 1]);
  core.onMessage = undefined;
  core["onMessage" as keyof typeof core]?.(2);
  expect(ours).toHaveBeenCalledTimes(2);
});

test("an owner that chains what it finds makes no circle, and nobody hears twice", () => {
  const [first, ours] = [vi.fn(), vi.fn()];
  const core = objectWith(first);
  hearAlso(core, "onMessage", ours);
  const before = core.onMessage;
  core.onMessage = (...parameters) => before?.(...parameters);
  core.onMessage("once");
  expect(first).toHaveBeenCalledExactlyOnceWith("once");
  expect(ours).toHaveBeenCalledExactlyOnceWith("once");
});

test("what the owner's handler throws is the owner's; ours hear all the same, and throw nothing", () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  const ours = vi.fn(() => {
    throw new Error("a bug of ours");
  });
  const core = objectWith(() => {
    throw new Error("a bug of theirs");
  });
  hearAlso(core, "onMessage", ours);
  expect(() => core.onMessage?.()).toThrow("a bug of theirs");
  expect(ours).toHaveBeenCalledOnce();
  expect(reported).toHaveBeenCalledOnce();
});

test("when the last of ours has gone, the object is as its owner wants it", () => {
  const [first, second, one, two] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
  const core = objectWith(first);
  const endings = [hearAlso(core, "onMessage", one), hearAlso(core, "onMessage", two)];
  const old = core.onMessage;
  core.onMessage = second;
  endings[0]?.();
  core.onMessage();
  expect([one, two].map((it) => it.mock.calls.length)).toEqual([0, 1]);
  endings[1]?.();
  endings[1]?.();
  expect(Object.getOwnPropertyDescriptor(core, "onMessage")).toMatchObject({ value: second, writable: true });
  old?.();
  expect(two).toHaveBeenCalledOnce();
  hearAlso(core, "onMessage", one);
  core.onMessage();
  expect(one).toHaveBeenCalledOnce();
});

test("a property that its owner has defined anew is left alone", () => {
  const core = objectWith(() => {});
  const end = hearAlso(core, "onMessage", () => {});
  const theirs = vi.fn();
  Object.defineProperty(core, "onMessage", { value: theirs, configurable: true });
  end();
  expect(core.onMessage).toBe(theirs);
});
