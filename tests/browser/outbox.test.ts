import { beforeEach, describe, expect, test, vi } from "vitest";
import { newKey } from "../../browser/keys";
import { type Draft, Outbox, type OutboxState, type Outcome, type Pending } from "../../browser/outbox";

const draft: Draft = { text: "Hello", files: [], isWhisper: false, name: "Robin" };
const [a, b, c] = ["a.png", "b.png", "c.png"].map((name) => new File(["x"], name)) as [File, File, File];
const withFiles: Draft = { text: "Look", files: [a, b, c], isWhisper: false, name: null };
const lost: Outcome = { kind: "interrupted", mayHaveArrived: true };

/** What becomes of an item by its label; the rest is acknowledged. */
let outcomes: Map<string, Outcome>;
let attempts: Pending[];
/** What the listener heard, one word and the items' labels each. */
let heard: string[];
let outbox: Outbox;

const label = ({ file, text }: Pending) => file?.name ?? text;
const labels = (items: readonly Pending[]) => items.map(label).join(" ");

const listener = {
  changed: ({ kind, items }: OutboxState) => heard.push(`${kind}: ${labels(items)}`),
  acknowledged: (item: Pending) => heard.push(`acknowledged ${label(item)}`),
  refused: (item: Pending, error: unknown) => heard.push(`refused ${label(item)} ${error}`),
};

/** An outbox whose attempts end when the test says how. */
function slowly() {
  const answers: ((outcome: Outcome) => void)[] = [];
  const signals: AbortSignal[] = [];
  const slow = new Outbox((_, signal) => {
    signals.push(signal);
    return new Promise((resolve) => answers.push(resolve));
  }, listener);
  return { slow, answers, signals };
}

beforeEach(() => {
  outcomes = new Map();
  attempts = [];
  heard = [];
  outbox = new Outbox(async (pending) => {
    attempts.push(pending);
    return outcomes.get(label(pending)) ?? { kind: "acknowledged" };
  }, listener);
});

describe("text", () => {
  test("that is acknowledged leaves nothing", async () => {
    await outbox.submit(draft);
    expect(heard).toEqual(["sending: Hello", "acknowledged Hello", "empty: "]);
    expect(attempts).toEqual([
      {
        text: "Hello",
        file: null,
        isWhisper: false,
        name: "Robin",
        clientKey: expect.stringMatching(/^[0-9a-f]{32}$/),
        mayHaveArrived: false,
      },
    ]);
  });

  test("has one key for all attempts, and another text has another", async () => {
    outcomes.set("Hello", lost);
    await outbox.submit(draft);
    await outbox.retry();
    outcomes.clear();
    await outbox.retry();
    await outbox.retry();
    await outbox.submit(draft);
    expect(heard.filter((it) => !it.startsWith("acknowledged"))).toEqual([
      "sending: Hello",
      "waiting: Hello",
      "sending: Hello",
      "waiting: Hello",
      "sending: Hello",
      "empty: ",
      "sending: Hello",
      "empty: ",
    ]);
    const keys = attempts.map((attempt) => attempt.clientKey);
    expect(keys.slice(0, 3)).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[3]).not.toBe(keys[0]);
  });

  test("may have arrived, also after an attempt that was never sent", async () => {
    outcomes.set("Hello", lost);
    await outbox.submit(draft);
    outcomes.set("Hello", { kind: "interrupted", mayHaveArrived: false });
    await outbox.retry();
    expect(outbox.waiting?.mayHaveArrived).toBe(true);
  });

  test("that is refused goes back", async () => {
    outcomes.set("Hello", { kind: "refused", error: "no", isOfItsOwn: false });
    await outbox.submit(draft);
    expect(heard).toEqual(["sending: Hello", "refused Hello no", "empty: "]);
    await outbox.retry();
    expect(attempts).toHaveLength(1);
  });

  test("is the only thing under way", async () => {
    outcomes.set("Hello", lost);
    await outbox.submit(draft);
    await outbox.submit({ ...draft, text: "Another" });
    expect(attempts.map(label)).toEqual(["Hello"]);
  });

  test("that was found in the thread, or given back, is done with", async () => {
    outcomes.set("Hello", lost);
    await outbox.submit(draft);
    await outbox.acknowledge();
    expect(heard.slice(-2)).toEqual(["acknowledged Hello", "empty: "]);
    await outbox.submit(draft);
    await outbox.giveBack("why");
    expect(heard.slice(-2)).toEqual(["refused Hello why", "empty: "]);
    heard = [];
    await outbox.acknowledge();
    await outbox.giveBack("again");
    expect(heard).toEqual([]);
  });
});

describe("files", () => {
  test("follow the text, one after the other, each under a key of its own", async () => {
    await outbox.submit(withFiles);
    expect(attempts.map((it) => [it.text, it.file])).toEqual([
      ["Look", null],
      ["", a],
      ["", b],
      ["", c],
    ]);
    expect(new Set(attempts.map((it) => it.clientKey)).size).toBe(4);
    expect(heard).toEqual([
      "sending: Look a.png b.png c.png",
      "acknowledged Look",
      "sending: a.png b.png c.png",
      "acknowledged a.png",
      "sending: b.png c.png",
      "acknowledged b.png",
      "sending: c.png",
      "acknowledged c.png",
      "empty: ",
    ]);
  });

  test("go alone, with the name that has to be announced", async () => {
    await outbox.submit({ text: "", files: [a], isWhisper: false, name: "Robin" });
    expect(attempts.map(({ text, file, name }) => [text, file, name])).toEqual([["", a, "Robin"]]);
  });

  test("wait from the one on at which the line broke; what went before is not sent again", async () => {
    outcomes.set("b.png", lost);
    await outbox.submit(withFiles);
    expect(heard.at(-1)).toBe("waiting: b.png c.png");
    outcomes.clear();
    await outbox.retry();
    expect(attempts.map(label)).toEqual(["Look", "a.png", "b.png", "b.png", "c.png"]);
    expect(heard.at(-1)).toBe("empty: ");
  });

  test("are sent although one of them is refused", async () => {
    outcomes.set("a.png", { kind: "refused", error: "too large", isOfItsOwn: true });
    await outbox.submit(withFiles);
    expect(heard).toContain("refused a.png too large");
    expect(attempts.map(label)).toEqual(["Look", "a.png", "b.png", "c.png"]);
  });

  test("are not sent when the text is refused, or when nothing else would be taken either", async () => {
    outcomes.set("Look", { kind: "refused", error: "no", isOfItsOwn: false });
    await outbox.submit(withFiles);
    expect(attempts.map(label)).toEqual(["Look"]);
    expect(heard.at(-1)).toBe("empty: ");
    outcomes.clear();
    outcomes.set("a.png", { kind: "refused", error: "bad name", isOfItsOwn: false });
    await outbox.submit(withFiles);
    expect(attempts.map(label)).toEqual(["Look", "Look", "a.png"]);
  });

  test("follow what was found in the thread, or given back", async () => {
    outcomes.set("a.png", lost).set("b.png", lost);
    await outbox.submit(withFiles);
    await outbox.acknowledge();
    expect(heard.at(-1)).toBe("waiting: b.png c.png");
    await outbox.giveBack("why", true);
    expect(heard.slice(-4)).toEqual(["refused b.png why", "sending: c.png", "acknowledged c.png", "empty: "]);
  });

  test("given back with the text go back with it", async () => {
    outcomes.set("Look", lost);
    await outbox.submit(withFiles);
    await outbox.giveBack(null);
    expect(heard.slice(-2)).toEqual(["refused Look null", "empty: "]);
  });

  test("that are withdrawn are not sent", async () => {
    outcomes.set("a.png", lost);
    await outbox.submit(withFiles);
    outbox.withdraw(b);
    expect(heard.at(-1)).toBe("waiting: a.png c.png");
    outbox.withdraw(a);
    await outbox.retry();
    expect(attempts.map(label)).toEqual(["Look", "a.png", "c.png"]);
    outbox.withdraw(a);
    expect(heard.at(-1)).toBe("empty: ");
  });

  test("that are withdrawn while they are under way come to their end first, however that is", async () => {
    const { slow, answers, signals } = slowly();
    const sending = slow.submit({ ...withFiles, text: "", files: [a, b] });
    heard = [];
    slow.withdraw(a);
    expect(heard).toEqual(["sending: b.png"]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    answers[0]?.({ kind: "refused", error: "late", isOfItsOwn: false });
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]?.({ kind: "acknowledged" });
    await sending;
    expect(heard).toEqual(["sending: b.png", "sending: b.png", "acknowledged b.png", "empty: "]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  test("that are withdrawn leave the form free, and what is posted next waits for their end", async () => {
    const { slow, answers } = slowly();
    const sending = slow.submit({ ...withFiles, text: "", files: [a] });
    slow.withdraw(a);
    expect(heard.at(-1)).toBe("empty: ");
    await slow.submit(draft);
    expect([heard.at(-1), answers.length, slow.waiting]).toEqual(["sending: Hello", 1, null]);
    answers[0]?.({ kind: "interrupted", mayHaveArrived: true });
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]?.({ kind: "acknowledged" });
    await sending;
    expect(heard.slice(-2)).toEqual(["acknowledged Hello", "empty: "]);
  });
});

describe("what came back", () => {
  const refusal: Outcome = { kind: "refused", error: "no", isOfItsOwn: true };

  test("is the same when it is posted again, with what is known of it", async () => {
    outcomes.set("a.png", lost);
    await outbox.submit({ ...withFiles, files: [a, b] });
    outcomes.set("a.png", refusal).set("b.png", refusal);
    await outbox.retry();
    outcomes.clear();
    await outbox.submit({ ...withFiles, text: "", files: [b, a] });
    const facts = attempts.slice(1).map((it) => [label(it), it.clientKey, it.mayHaveArrived]);
    const [keyOfA, keyOfB] = [attempts[1]?.clientKey, attempts[3]?.clientKey];
    expect(keyOfA).not.toBe(keyOfB);
    expect(facts).toEqual([
      ["a.png", keyOfA, false],
      ["a.png", keyOfA, true],
      ["b.png", keyOfB, false],
      ["b.png", keyOfB, false],
      ["a.png", keyOfA, true],
    ]);
  });

  test("is another one when it was changed, or when something else was posted before", async () => {
    outcomes.set("Hello", { ...refusal, isOfItsOwn: false });
    await outbox.submit(draft);
    await outbox.submit({ ...draft, text: "Hello!" });
    await outbox.submit(draft);
    expect(new Set(attempts.map((it) => it.clientKey)).size).toBe(3);
  });

  test("while it was on its way is told to end, and not touched by a late answer", async () => {
    const { slow, answers, signals } = slowly();
    const sending = slow.submit(withFiles);
    await slow.giveBack("why");
    expect([heard.at(-1), signals[0]?.aborted]).toEqual(["empty: ", true]);
    heard = [];
    answers[0]?.(refusal);
    await sending;
    expect(new Set(heard)).toEqual(new Set(["empty: "]));
  });
});

test("keys need no secure context", () => {
  expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
  expect(newKey()).not.toBe(newKey());
});

describe("whispers", () => {
  const whisper: Draft = { text: "Psst", files: [], isWhisper: true, name: null };

  test("that wait are forgotten when their author may not whisper any more", async () => {
    outcomes.set("Psst", lost);
    await outbox.submit(whisper);
    outbox.withdrawWhispers();
    expect(heard.at(-1)).toBe("empty: ");
    await outbox.retry();
    expect(attempts.map(({ isWhisper }) => isWhisper)).toEqual([true]);
  });

  test("that are under way are told to end, whatever becomes of them", async () => {
    const { slow, answers, signals } = slowly();
    const sending = slow.submit(whisper);
    slow.withdrawWhispers();
    expect(signals[0]?.aborted).toBe(true);
    answers[0]?.({ kind: "refused", error: "why", isOfItsOwn: false });
    await sending;
    expect(new Set(heard)).toEqual(new Set(["sending: Psst", "empty: "]));
  });

  test("and comments of the same words have nothing to do with each other", async () => {
    for (const isWhisper of [true, false, true]) {
      outcomes.set("Psst", { kind: "refused", error: "why", isOfItsOwn: false });
      await outbox.submit({ ...whisper, isWhisper });
    }
    const [first, second, third] = attempts;
    expect(second?.clientKey).not.toBe(first?.clientKey);
    expect(third?.clientKey).not.toBe(second?.clientKey);
    outbox.withdrawWhispers();
    await outbox.submit(whisper);
    expect(attempts.at(-1)?.clientKey).not.toBe(third?.clientKey);
  });

  test("comments are not", async () => {
    outcomes.set("Hello", lost);
    await outbox.submit(draft);
    outbox.withdrawWhispers();
    expect(outbox.waiting?.text).toBe("Hello");
  });
});
