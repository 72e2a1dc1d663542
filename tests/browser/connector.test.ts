import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Connector, isRefusal, type LineState, REST_AFTER_HIDDEN_MS } from "../../browser/connector";
import { BusyError, type Chat, type ChatListener, GoneError, LineError } from "../../browser/sdk/chat";
import { MissingError, TicketRefusedError } from "../../browser/sdk/hosted-errors";
import { type Access, type Site, SiteError } from "../../browser/site";

const access = { mode: "hub", chatroomId: "room" } as Access;

let log: string[];
let states: LineState[];
let chats: FakeChat[];
let refusals: number;
let timesNotLetIn: number;
let joinOutcomes: (Error | null)[];
let mayRestart: boolean;
let admitted: () => Promise<void>;
/** What becomes of the next starts; without one they succeed. */
let startOutcomes: (() => Promise<void>)[];
let catchUp: (chat: Chat) => Promise<void>;
let isAtWork: boolean;
let connector: Connector;

class FakeChat {
  isGapProof = true;
  isOpen = false;
  readonly listener: ChatListener;

  constructor(_access: Access, listener: ChatListener) {
    this.listener = listener;
    chats.push(this);
  }

  async start(): Promise<void> {
    log.push("start");
    await startOutcomes.shift()?.();
    this.isOpen = true;
  }

  canRestart = () => !this.isOpen && mayRestart;

  async restart(): Promise<void> {
    log.push("restart");
    this.isOpen = true;
  }

  async join(): Promise<void> {
    log.push("join");
  }

  async drop(): Promise<void> {
    log.push("drop");
    this.lose();
  }

  depart(): void {
    log.push("depart");
  }

  lose(comeAgainMs?: number): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.listener.lineClosed(comeAgainMs);
  }
}

beforeEach(() => {
  isAtWork = false;
  vi.useFakeTimers({ now: 1_000_000 });
  log = [];
  states = [];
  chats = [];
  refusals = 0;
  timesNotLetIn = 0;
  joinOutcomes = [];
  startOutcomes = [];
  mayRestart = true;
  admitted = async () => {};
  catchUp = async () => {};
  const site = {
    join: async () => {
      const outcome = joinOutcomes.shift();
      if (outcome) throw outcome;
      return access;
    },
    refuseTicket: () => {
      refusals += 1;
    },
    noteNotLetIn: () => {
      timesNotLetIn += 1;
    },
  } as unknown as Site;
  const listener = {
    received() {},
    updated() {},
    deleted() {},
    closedChanged() {},
    goneChanged() {},
    rightsChanged() {},
    crowdChanged() {},
  };
  const newChat = async (a: Access, l: ChatListener) => new FakeChat(a, l) as unknown as Chat;
  connector = new Connector(site, newChat, listener, {
    stateChanged: (state) => states.push(state),
    admitted: () => admitted(),
    catchUp: (chat) => catchUp(chat),
    live: () => log.push("live"),
    failed: () => log.push("failed"),
    isAtWork: () => isAtWork,
  });
});

afterEach(() => {
  connector.halt();
  setHidden(false);
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const chat = () => chats.at(-1) as FakeChat;

function setHidden(isHidden: boolean): void {
  Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
}

function look(away: boolean): void {
  setHidden(away);
  document.dispatchEvent(new Event("visibilitychange"));
}

async function live(): Promise<void> {
  connector.start();
  await pass(0);
  expect(states.at(-1)).toBe("live");
  log.length = 0;
  states.length = 0;
}

describe("connecting", () => {
  test("goes step by step", async () => {
    connector.start();
    connector.start();
    expect(connector.liveChat).toBeNull();
    await pass(0);
    expect(log).toEqual(["start", "join", "live"]);
    expect(states).toEqual(["connecting", "live"]);
    expect(connector.liveChat).toBe(chat());
  });

  test("a chat that did not start is let go of; the next attempt makes another", async () => {
    startOutcomes = [() => Promise.reject(new LineError("no", false))];
    connector.start();
    await pass(5_000);
    expect(log).toEqual(["start", "depart", "failed", "start", "join", "live"]);
    expect(chats).toHaveLength(2);
  });

  test("a line that breaks while catching up is dropped and made again", async () => {
    let failures = 1;
    catchUp = async () => {
      if (failures-- > 0) throw new LineError("no", false);
    };
    connector.start();
    await pass(5_000);
    expect(log).toEqual(["start", "join", "drop", "failed", "restart", "join", "live"]);
  });

  test("of tickets that are refused one after the other the first only is reported", async () => {
    const refused = () => Promise.reject(new TicketRefusedError("401", false));
    startOutcomes = [refused, refused, refused];
    connector.start();
    await pass(60_000);
    expect(refusals).toBe(1);
    expect(states.at(-1)).toBe("live");
    mayRestart = false;
    startOutcomes = [refused];
    chat().lose();
    await pass(60_000);
    expect(refusals).toBe(2);
  });

  test("what is missing on the page is waited for, and the site not asked meanwhile", async () => {
    let come = () => {};
    const untilItComes = () =>
      new Promise<void>((resolve) => {
        come = resolve;
      });
    startOutcomes = [() => Promise.reject(new MissingError("no widget", untilItComes))];
    connector.start();
    await pass(600_000);
    expect(log).toEqual(["start", "depart", "failed"]);
    expect(states.at(-1)).toBe("offline");
    come();
    await pass(0);
    expect(log.slice(3)).toEqual(["start", "join", "live"]);
  });

  test("what is missing is waited for until the section goes", async () => {
    let giveUp: AbortSignal | undefined;
    const untilItComes = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        giveUp = signal;
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    startOutcomes = [() => Promise.reject(new MissingError("no widget", untilItComes))];
    connector.start();
    await pass(0);
    connector.halt();
    await pass(60_000);
    expect(giveUp?.aborted).toBe(true);
    expect(log).toEqual(["start", "depart", "failed"]);
  });

  test("what the site asks for is waited for, within reason", async () => {
    joinOutcomes = [new SiteError("unavailable", "", 30_000)];
    connector.start();
    await pass(29_900);
    expect(log).toEqual(["failed"]);
    await pass(8_000);
    expect(log).toContain("live");
    expect(states).toEqual(["connecting", "offline", "live"]);
  });
});

describe("a hub that has had enough of us", () => {
  test("is left alone for as long as it says, and nobody is told that there is no access", async () => {
    const enough = new BusyError("Please try again in 30 seconds.", 30_000);
    let attempts = 0;
    catchUp = async () => {
      attempts += 1;
      if (attempts === 1) throw enough;
    };
    connector.start();
    await pass(29_900);
    expect(attempts).toBe(1);
    expect(states).not.toContain("offline");
    expect(isRefusal(enough)).toBe(false);
    await pass(8_000);
    expect(log).toContain("live");
  });
});

describe("a room that is gone", () => {
  const gone = [new SiteError("gone", "", 60_000), new SiteError("gone", ""), new GoneError("no")];

  test.each(gone)("is asked for about once a minute, for as long as it takes", async (error) => {
    const attempts = 20;
    joinOutcomes = Array.from({ length: attempts }, () => error);
    connector.start();
    await pass(0);
    expect([log, states]).toEqual([["failed"], ["connecting", "offline"]]);
    await pass(10 * 60_000);
    // Pauses are of slightly random length, half a minute to one.
    expect(attempts - joinOutcomes.length).toBeGreaterThanOrEqual(10);
    expect(attempts - joinOutcomes.length).toBeLessThanOrEqual(21);
    expect(states.filter((state) => state === "connecting")).toHaveLength(1);
  });

  test("that comes back is entered at once when the reader looks, and without a penalty", async () => {
    joinOutcomes = [new GoneError("no")];
    connector.start();
    await pass(100);
    look(true);
    look(false);
    await pass(0);
    expect(states.at(-1)).toBe("live");
    chat().lose();
    await pass(700);
    expect(states.at(-1)).toBe("live");
  });
});

describe("a room that is not for us", () => {
  test("makes the site look, when it was the chat service that said so", async () => {
    joinOutcomes = [new GoneError("no")];
    connector.start();
    await pass(0);
    expect(timesNotLetIn).toBe(1);
  });

  test("is no news to the site that said so itself", async () => {
    joinOutcomes = [new SiteError("gone", "")];
    connector.start();
    await pass(0);
    expect(timesNotLetIn).toBe(0);
  });
});

describe("a broken line", () => {
  test("is restarted soon, in place", async () => {
    await live();
    chat().lose();
    await pass(700);
    expect(log).toEqual(["restart", "join", "live"]);
    expect(states).toEqual(["reconnecting", "catching-up", "live"]);
  });

  test("to another room or website needs another chat, and the old one goes", async () => {
    await live();
    mayRestart = false;
    chat().lose();
    await pass(700);
    expect(log).toEqual(["depart", "start", "join", "live"]);
    expect(chats).toHaveLength(2);
  });

  test("of a page that nobody looks at may take its time", async () => {
    await live();
    look(true);
    joinOutcomes = Array.from({ length: 50 }, () => new SiteError("unreachable", ""));
    chat().lose();
    await pass(600_000);
    const attempts = 50 - joinOutcomes.length;
    expect(attempts).toBeGreaterThan(10);
    expect(attempts).toBeLessThan(32);
  });

  test.each([
    [3_000, 2_999],
    [25_000, 24_999],
    [3_600_000, 59_999],
  ])("that the service closed for %d ms is made again then, and not before", async (toldMs, notYetMs) => {
    await live();
    chat().lose(toldMs);
    await pass(notYetMs);
    expect(log).toEqual([]);
    expect(states).toEqual(["reconnecting"]);
    await pass(1);
    expect(log).toEqual(["restart", "join", "live"]);
  });

  test("that the service closed for a time is tried as ever when it did not come back then", async () => {
    await live();
    joinOutcomes = [new SiteError("unreachable", "")];
    chat().lose(3_000);
    await pass(3_000);
    expect(log).toEqual(["failed"]);
    await pass(1_200);
    expect(connector.liveChat).not.toBeNull();
    // And it was said for that time only.
    chat().lose();
    await pass(2_500);
    expect(connector.liveChat).not.toBeNull();
  });

  test("is offline at once where the browser says so", async () => {
    await live();
    vi.stubGlobal("navigator", { onLine: false });
    chat().lose();
    await pass(0);
    expect(states).toEqual(["offline"]);
  });

  test("after a steady time starts with short pauses again", async () => {
    await live();
    for (let round = 0; round < 6; round += 1) {
      chat().lose();
      await pass(700);
      expect(connector.liveChat).not.toBeNull();
      await pass(10_000);
    }
  });

  test("that breaks at once each time waits longer each time (Q7)", async () => {
    await live();
    let lives = 0;
    for (let second = 0; second < 60; second += 1) {
      if (connector.liveChat) {
        lives += 1;
        chat().lose();
      }
      await pass(1_000);
    }
    expect(lives).toBeLessThan(14);
  });
});

describe("looking again", () => {
  test("after a while away asks for what was missed; after a glance away it need not", async () => {
    await live();
    const asked = vi.fn(async () => {});
    catchUp = asked;
    look(true);
    await pass(14_000);
    look(false);
    expect(asked).not.toHaveBeenCalled();
    look(true);
    await pass(16_000);
    look(false);
    expect(asked).toHaveBeenCalledOnce();
  });

  test("on the hosted service always joins again: another tab may have left", async () => {
    await live();
    chat().isGapProof = false;
    look(true);
    look(false);
    await pass(0);
    expect(log).toEqual(["join"]);
  });

  test("finds a dead line within seconds", async () => {
    await live();
    catchUp = () => new Promise(() => {});
    look(true);
    await pass(20_000);
    look(false);
    await pass(4_900);
    expect(log).toEqual([]);
    catchUp = async () => {};
    await pass(1_000);
    expect(log).toEqual(["drop", "restart", "join", "live"]);
  });

  test("does not wait for the timer while the line is down", async () => {
    await live();
    look(true);
    joinOutcomes = Array.from({ length: 9 }, () => new SiteError("unreachable", ""));
    chat().lose();
    await pass(200_000);
    joinOutcomes = [];
    look(false);
    await pass(0);
    expect(connector.liveChat).not.toBeNull();
  });
});

describe("halting", () => {
  test("hands the chat over and stays quiet", async () => {
    await live();
    expect(connector.halt()).toBe(chat());
    expect(connector.halt()).toBeNull();
    chat().lose();
    dispatchEvent(new Event("online"));
    look(false);
    await pass(120_000);
    expect(log).toEqual([]);
    expect(states).toEqual(["reconnecting", "reconnecting"]);
  });

  test("in the middle of an attempt ends it; starting again begins anew", async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    startOutcomes = [() => held];
    connector.start();
    await pass(0);
    expect(connector.halt()).toBe(chat());
    connector.start();
    release();
    await pass(0);
    expect(log.filter((step) => step === "live")).toHaveLength(1);
    expect(chats).toHaveLength(2);
  });

  test("while the site's answer is being dealt with connects to nothing", async () => {
    let release: () => void = () => {};
    admitted = () => new Promise((resolve) => (release = resolve));
    connector.start();
    await pass(0);
    expect(connector.halt()).toBeNull();
    release();
    await pass(60_000);
    expect(chats).toHaveLength(0);
  });

  test("in a pause ends the pause", async () => {
    joinOutcomes = [new SiteError("unreachable", "")];
    connector.start();
    await pass(0);
    connector.halt();
    await pass(60_000);
    expect(chats).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a page that nobody looks at", () => {
  test("lets its connection go after a while, and catches up when somebody looks", async () => {
    await live();
    look(true);
    await pass(REST_AFTER_HIDDEN_MS - 1);
    expect(log).toEqual([]);
    await pass(1);
    expect(log).toEqual(["drop"]);
    expect(states).toEqual(["reconnecting"]);
    await pass(3_600_000);
    expect(log).toEqual(["drop"]);
    look(false);
    await pass(0);
    expect(log).toEqual(["drop", "restart", "join", "live"]);
    expect(states.slice(-2)).toEqual(["catching-up", "live"]);
  });

  test("keeps it while the reader has something under way", async () => {
    await live();
    isAtWork = true;
    look(true);
    await pass(2 * REST_AFTER_HIDDEN_MS);
    expect(log).toEqual([]);
    isAtWork = false;
    await pass(60_000);
    expect(log).toEqual(["drop"]);
  });

  test("that is looked at in time keeps it", async () => {
    await live();
    look(true);
    await pass(REST_AFTER_HIDDEN_MS - 1);
    look(false);
    await pass(REST_AFTER_HIDDEN_MS);
    expect(log).not.toContain("drop");
  });

  test("does not go on asking a service that is down, nor when the network comes back", async () => {
    startOutcomes = Array.from({ length: 100 }, () => () => Promise.reject(new LineError("down", false)));
    connector.start();
    look(true);
    await pass(REST_AFTER_HIDDEN_MS);
    const asked = log.length;
    expect(asked).toBeGreaterThan(2);
    dispatchEvent(new Event("online"));
    await pass(3_600_000);
    expect(log).toHaveLength(asked);
    startOutcomes = [];
    look(false);
    await pass(0);
    expect(states.at(-1)).toBe("live");
  });

  test("that was opened in the background rests like any other, and ends what it has begun", async () => {
    setHidden(true);
    let open = () => {};
    startOutcomes = [() => new Promise((resolve) => (open = resolve))];
    connector.start();
    await pass(REST_AFTER_HIDDEN_MS);
    open();
    await pass(0);
    expect(log).toEqual(["start", "drop", "join", "drop"]);
    expect(states.at(-1)).toBe("connecting");
  });

  test("that goes away stops counting", async () => {
    await live();
    look(true);
    connector.halt();
    await pass(REST_AFTER_HIDDEN_MS);
    expect(log).toEqual([]);
  });
});
