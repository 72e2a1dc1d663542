import { describe, expect, test } from "vitest";
import { reconcile } from "../../browser/sdk/compare-pages";
import { ThreadState } from "../../browser/thread-state";
import { message } from "./messages";

const ids = (state: ThreadState) => state.messages.map((it) => it.id);

function stateOf(...numbers: number[]): ThreadState {
  const state = new ThreadState();
  state.addPage(
    numbers.map((number) => message(number)),
    false,
  );
  return state;
}

describe("merging", () => {
  test("live messages and history come in one order, each once", () => {
    const state = new ThreadState();
    state.add(message(5));
    state.addPage([message(3), message(4), message(5)], true);
    state.add(message(6));
    state.addPage([message(1), message(2)], false);
    state.add(message(6));
    expect(ids(state)).toEqual(["m1", "m2", "m3", "m4", "m5", "m6"]);
    expect(state.hasOlder).toBe(false);
    expect(state.oldestId).toBe("m1");
  });

  test("the number in the room decides; without numbers the time, then the order of arrival", () => {
    const state = new ThreadState();
    const sentAt = new Date(5_000);
    state.add(message(2, { sentAt }));
    state.add(message(1, { sentAt: new Date(9_000) }));
    expect(ids(state)).toEqual(["m1", "m2"]);

    const unnumbered = new ThreadState();
    unnumbered.add(message(3, { seq: 0, sentAt }));
    unnumbered.add(message(1, { seq: 0, sentAt }));
    unnumbered.add(message(2, { seq: 0, sentAt: new Date(4_000) }));
    expect(ids(unnumbered)).toEqual(["m2", "m3", "m1"]);
  });

  test("an unchanged message stays the same object, so that nothing is drawn again", () => {
    const state = stateOf(1, 2);
    const [first] = state.messages;
    state.addPage([message(1), message(2)], false);
    expect(state.messages[0]).toBe(first);
  });

  test("an older version that comes late does not undo an edit", () => {
    const state = stateOf(1);
    state.update(message(1, { text: "second", editedAt: new Date(2) }));
    state.update(message(1, { text: "first", editedAt: new Date(1) }));
    state.add(message(1));
    expect(state.messages[0]?.text).toBe("second");
  });

  test("an edit of a message that is not loaded is left to its page", () => {
    const state = stateOf(2);
    state.update(message(1, { text: "edited", editedAt: new Date(1) }));
    expect(ids(state)).toEqual(["m2"]);
  });

  test("an edit that overtakes the page with its message is not lost", () => {
    const state = stateOf(3);
    state.update(message(2, { text: "second", editedAt: new Date(2) }));
    state.update(message(2, { text: "first", editedAt: new Date(1) }));
    state.addPage([message(1), message(2)], false);
    expect(state.messages.map((it) => it.text)).toEqual(["text 1", "second", "text 3"]);

    const caughtUp = stateOf(1);
    caughtUp.update(message(2, { text: "edited", editedAt: new Date(1) }));
    caughtUp.applyChanges([{ message: message(2) }]);
    expect(caughtUp.messages[1]?.text).toBe("edited");
  });

  test("a page that comes late does not undo a change before the first loaded message", () => {
    const state = new ThreadState();
    state.addPage([message(3)], true);
    state.applyChanges([{ message: message(2, { text: "edited", editedAt: new Date(1) }) }]);
    expect(ids(state)).toEqual(["m3"]);
    state.addPage([message(1), message(2)], false);
    expect(state.messages[1]?.text).toBe("edited");
  });

  test("a deleted message does not come back with an answer that was under way", () => {
    const state = stateOf(1, 2);
    state.remove("m1");
    state.remove("unknown");
    state.addPage([message(1), message(2)], false);
    expect(ids(state)).toEqual(["m2"]);
  });
});

describe("whispers", () => {
  const whisper = (seq: number, at: number) =>
    message(at, { id: `w${at}`, seq, sentAt: new Date(at), isWhisper: true });
  const at = (number: number, ms: number) => message(number, { sentAt: new Date(ms) });

  test("stand behind the comment whose number they share, in whatever order they come", () => {
    const state = new ThreadState();
    state.addPage([whisper(2, 2500), at(3, 3000)], true);
    state.addPage([whisper(0, 500), at(1, 1000), at(2, 2000), whisper(2, 2200)], false);
    state.add(whisper(3, 3500));
    expect(ids(state)).toEqual(["w500", "m1", "m2", "w2200", "w2500", "m3", "w3500"]);
  });

  test("go when the reader is no manager any more, and those under way do not come", () => {
    const state = new ThreadState();
    state.addPage([at(1, 1000), whisper(1, 1500), at(2, 2000)], false);
    state.dropWhispers();
    state.add(whisper(2, 2500));
    state.update({ ...whisper(1, 1500), text: "edited" });
    state.applyChanges([{ message: whisper(1, 1500) }]);
    expect(ids(state)).toEqual(["m1", "m2"]);
    expect([state.has("w1500"), state.oldestId]).toEqual([false, "m1"]);
  });
});

describe("changes since a cursor", () => {
  test("bring what is new, edited and deleted", () => {
    const state = stateOf(1, 2, 3);
    state.applyChanges([
      { deletedId: "m2" },
      { message: message(3, { text: "edited", editedAt: new Date(1) }) },
      { message: message(4) },
    ]);
    expect(state.messages.map((it) => it.text)).toEqual(["text 1", "edited", "text 4"]);
  });

  test("of earlier pages that are not loaded do not make a hole in the thread", () => {
    const state = new ThreadState();
    state.addPage([message(10), message(11)], true);
    state.applyChanges([{ message: message(3, { editedAt: new Date(1) }) }, { message: message(12) }]);
    expect(ids(state)).toEqual(["m10", "m11", "m12"]);
  });

  test("fill a thread that was empty", () => {
    const state = new ThreadState();
    state.applyChanges([{ message: message(1) }]);
    expect(ids(state)).toEqual(["m1"]);
  });
});

describe("comparing pages", () => {
  const known = (state: ThreadState) => new Set(ids(state));

  test("finds deletions within the page, and what is new", () => {
    const state = stateOf(1, 2, 3, 4);
    expect(reconcile(state, [message(2), message(4), message(5)], known(state), true)).toBe(true);
    expect(ids(state)).toEqual(["m1", "m2", "m4", "m5"]);
  });

  test("a page that has the start judges everything before it", () => {
    const state = new ThreadState();
    state.addPage([message(1), message(2)], true);
    expect(reconcile(state, [message(2)], known(state), false)).toBe(true);
    expect(ids(state)).toEqual(["m2"]);
    expect(state.hasOlder).toBe(false);
    reconcile(state, [], known(state), false);
    expect(ids(state)).toEqual([]);
  });

  test("does not judge what came while the page was under way", () => {
    const state = stateOf(1);
    const before = known(state);
    state.add(message(2));
    reconcile(state, [message(1)], before, false);
    expect(ids(state)).toEqual(["m1", "m2"]);
  });

  test("a page that does not meet the known messages tells of a gap", () => {
    const state = stateOf(1, 2);
    const before = known(state);
    expect(reconcile(state, [message(8), message(9)], before, true)).toBe(false);
    expect(reconcile(state, [message(6), message(7)], before, true)).toBe(false);
    state.forgetBefore("m6");
    expect(ids(state)).toEqual(["m6", "m7", "m8", "m9"]);
    expect(state.hasOlder).toBe(true);
    expect(state.has("m1")).toBe(false);
    state.addPage([message(1), message(2)], false);
    expect(ids(state)).toEqual(["m1", "m2", "m6", "m7", "m8", "m9"]);
  });

  test("forgetting before the first, or before the unknown, forgets nothing", () => {
    const state = stateOf(1, 2);
    state.forgetBefore("m1");
    state.forgetBefore("unknown");
    expect(ids(state)).toEqual(["m1", "m2"]);
    expect(state.hasOlder).toBe(false);
  });
});
