import { beforeEach, expect, test, vi } from "vitest";
import { newKey, Outbox, type OutboxState, type Outcome, type Pending } from "../../browser/outbox";

let outcome: Outcome;
let attempts: Pending[];
let states: OutboxState["kind"][];
let outbox: Outbox;

beforeEach(() => {
  outcome = { kind: "acknowledged" };
  attempts = [];
  states = [];
  outbox = new Outbox(
    async (pending) => {
      attempts.push(pending);
      return outcome;
    },
    (state) => states.push(state.kind),
  );
});

const draft = { text: "Hello", name: "Robin" };

test("a comment that is acknowledged leaves nothing", async () => {
  await outbox.submit(draft);
  expect(states).toEqual(["sending", "empty"]);
  expect(outbox.pending).toBeNull();
  expect(attempts).toEqual([
    { ...draft, clientKey: expect.stringMatching(/^[0-9a-f]{32}$/), mayHaveArrived: false },
  ]);
});

test("all attempts for one comment have one key, two comments have two", async () => {
  outcome = { kind: "interrupted", mayHaveArrived: true };
  await outbox.submit(draft);
  await outbox.retry();
  outcome = { kind: "acknowledged" };
  await outbox.retry();
  await outbox.retry();
  await outbox.submit(draft);
  expect(states).toEqual([
    "sending",
    "waiting",
    "sending",
    "waiting",
    "sending",
    "empty",
    "sending",
    "empty",
  ]);
  const keys = attempts.map((attempt) => attempt.clientKey);
  expect(keys.slice(0, 3)).toEqual([keys[0], keys[0], keys[0]]);
  expect(keys[3]).not.toBe(keys[0]);
});

test("that it may have arrived is not forgotten by an attempt that was never sent", async () => {
  outcome = { kind: "interrupted", mayHaveArrived: true };
  await outbox.submit(draft);
  outcome = { kind: "interrupted", mayHaveArrived: false };
  await outbox.retry();
  expect(outbox.pending?.mayHaveArrived).toBe(true);
});

test("a refusal gives the comment back", async () => {
  const error = new Error("no");
  outcome = { kind: "refused", error };
  await outbox.submit(draft);
  expect(states).toEqual(["sending", "refused"]);
  expect(outbox.pending).toBeNull();
  await outbox.retry();
  expect(attempts).toHaveLength(1);
});

test("nothing else is taken in while one is under way", async () => {
  outcome = { kind: "interrupted", mayHaveArrived: false };
  await outbox.submit(draft);
  await outbox.submit({ text: "Another", name: null });
  expect(attempts).toHaveLength(1);
  expect(outbox.pending?.text).toBe("Hello");
});

test("what was found in the thread, or given back, is not touched by a late answer", async () => {
  let answer: (outcome: Outcome) => void = () => {};
  const changed = vi.fn();
  const slow = new Outbox(() => new Promise((resolve) => (answer = resolve)), changed);
  const sending = slow.submit(draft);
  slow.acknowledge();
  answer({ kind: "refused", error: null });
  await sending;
  expect(changed.mock.calls.map(([state]) => state.kind)).toEqual(["sending", "empty"]);

  void slow.submit(draft);
  slow.giveBack("why");
  slow.giveBack("again");
  slow.acknowledge();
  expect(changed.mock.calls.map(([state]) => state.kind)).toEqual(["sending", "empty", "sending", "refused"]);
});

test("keys need no secure context", () => {
  expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
  expect(newKey()).not.toBe(newKey());
});
