import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CommentsElement } from "../../browser/comments-element";
import { loadSection } from "../../browser/load-section";
import { loadStyle, styleLoader } from "../../browser/load-style";
import { startSweep } from "../../browser/sweep";

vi.mock("../../browser/load-section");
vi.mock("../../browser/load-style");

customElements.define("chatix-comments", CommentsElement);

const section = { start: vi.fn(), depart: vi.fn(), close: vi.fn() };
const openSection = vi.fn();
/** A site that does not answer. */
const loadReturning = async () => ({ leaveLeftBehind: () => new Promise(() => {}) });
let observers: FakeObserver[];

class FakeObserver {
  readonly targets = new Set<Element>();
  readonly #callback: IntersectionObserverCallback;
  readonly options: IntersectionObserverInit;

  constructor(callback: IntersectionObserverCallback, options: IntersectionObserverInit) {
    this.#callback = callback;
    this.options = options;
    observers.push(this);
  }

  observe(target: Element): void {
    this.targets.add(target);
  }

  disconnect(): void {
    this.targets.clear();
  }

  see(isIntersecting: boolean): void {
    const entries = [...this.targets].map(
      (target) => ({ target, isIntersecting }) as IntersectionObserverEntry,
    );
    this.#callback(entries, this as unknown as IntersectionObserver);
  }
}

beforeEach(() => {
  observers = [];
  vi.stubGlobal("IntersectionObserver", FakeObserver);
  for (const mock of [section.start, section.depart, section.close, openSection]) mock.mockReset();
  openSection.mockReturnValue(section);
  vi.mocked(loadSection).mockReset();
  vi.mocked(loadSection).mockResolvedValue({ openSection, loadReturning } as never);
});

afterEach(async () => {
  document.body.replaceChildren();
  await settled();
});

const settled = () => new Promise((resolve) => setTimeout(resolve));

function put(): CommentsElement {
  document.body.innerHTML = `<main><chatix-comments data-post="t" data-endpoint="/c"><section aria-label="Comments">
    <p class="chatix-note">Loading…</p></section></chatix-comments><aside></aside></main>`;
  return document.querySelector("chatix-comments") as CommentsElement;
}

async function reach(): Promise<void> {
  observers.at(-1)?.see(true);
  await settled();
}

function pageshow(persisted: boolean): Event {
  return Object.assign(new Event("pageshow"), { persisted });
}

describe("reaching", () => {
  test("nothing is loaded before the section comes near", async () => {
    put();
    observers[0]?.see(false);
    await settled();
    expect(loadSection).not.toHaveBeenCalled();
    expect(observers[0]?.options.rootMargin).toMatch(/^\d+px$/);
  });

  test("a sweep that takes for ever holds nothing up", async () => {
    vi.useFakeTimers();
    const left = {
      mode: "hub",
      endpoint: "/c",
      apiUrl: "u",
      websiteId: "w",
      chatroomId: "r",
      connectionId: "c",
    };
    localStorage.setItem("chatix-comments:room:old", JSON.stringify({ ...left, seenAt: 0 }));
    startSweep();
    put();
    observers.at(-1)?.see(true);
    await vi.advanceTimersByTimeAsync(2900);
    expect(openSection).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    expect(openSection).toHaveBeenCalledTimes(1);
    // What was not acknowledged is left to the next page.
    expect(localStorage.getItem("chatix-comments:room:old")).not.toBeNull();
    vi.useRealTimers();
    localStorage.clear();
    startSweep();
  });

  test("it is opened when its style is there, so that nothing flashes", async () => {
    let resolve = () => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    vi.mocked(loadStyle).mockReturnValueOnce(promise);
    put();
    observers[0]?.see(true);
    await settled();
    expect(openSection).not.toHaveBeenCalled();
    resolve();
    await settled();
    expect(openSection).toHaveBeenCalledOnce();
  });

  test("then it is opened, once", async () => {
    const element = put();
    observers[0]?.see(true);
    observers[0]?.see(true);
    await settled();
    expect(openSection.mock.calls).toEqual([[element, styleLoader]]);
    expect(section.start).toHaveBeenCalledOnce();
  });

  test("an element that has gone meanwhile is not opened", async () => {
    const element = put();
    observers[0]?.see(true);
    element.remove();
    await settled();
    expect(openSection).not.toHaveBeenCalled();
  });
});

describe("a script that does not load", () => {
  test("is said in an alert with a button that tries again", async () => {
    vi.mocked(loadSection).mockRejectedValue(new TypeError("Failed to fetch"));
    const element = put();
    await reach();
    expect(element.querySelector("section [role=alert]")?.textContent).toBe(
      "The comments could not be loaded.",
    );
    expect(element.querySelector(".chatix-note")?.hasAttribute("hidden")).toBe(true);
    element.querySelector("button")?.click();
    await settled();
    expect(element.querySelectorAll("[role=alert]")).toHaveLength(1);
    expect(loadSection).toHaveBeenCalledTimes(2);

    vi.mocked(loadSection).mockResolvedValue({ openSection, loadReturning } as never);
    element.querySelector("button")?.click();
    await settled();
    expect(element.querySelector("[role=alert]")).toBeNull();
    expect(section.start).toHaveBeenCalledOnce();
  });

  test("is not said in an element that has gone", async () => {
    vi.mocked(loadSection).mockRejectedValue(new TypeError("Failed to fetch"));
    const element = put();
    observers[0]?.see(true);
    element.remove();
    await settled();
    expect(element.querySelector("[role=alert]")).toBeNull();
  });
});

describe("going away", () => {
  test("removal closes the section, and putting it back starts it again", async () => {
    const element = put();
    await reach();
    element.remove();
    await settled();
    expect(section.close).toHaveBeenCalledOnce();
    dispatchEvent(new Event("pagehide"));
    expect(section.depart).not.toHaveBeenCalled();

    document.body.append(element);
    await reach();
    expect(openSection).toHaveBeenCalledOnce();
    expect(section.start).toHaveBeenCalledTimes(2);
  });

  test("moving the element changes nothing", async () => {
    const element = put();
    await reach();
    document.querySelector("aside")?.append(element);
    await settled();
    expect(section.close).not.toHaveBeenCalled();
    expect(section.start).toHaveBeenCalledOnce();
    dispatchEvent(new Event("pagehide"));
    expect(section.depart).toHaveBeenCalledOnce();
  });

  test("a hidden page departs; a page from the back-forward cache starts again", async () => {
    put();
    await reach();
    dispatchEvent(new Event("pagehide"));
    expect(section.depart).toHaveBeenCalledOnce();
    dispatchEvent(pageshow(false));
    expect(section.start).toHaveBeenCalledOnce();
    dispatchEvent(pageshow(true));
    expect(section.start).toHaveBeenCalledTimes(2);
  });

  test("so does a page that is frozen and resumed", async () => {
    put();
    await reach();
    document.dispatchEvent(new Event("freeze"));
    expect(section.depart).toHaveBeenCalledOnce();
    document.dispatchEvent(new Event("resume"));
    expect(section.start).toHaveBeenCalledTimes(2);
  });

  test("before the section was reached there is nothing to leave", async () => {
    put();
    dispatchEvent(new Event("pagehide"));
    dispatchEvent(pageshow(true));
    document.body.replaceChildren();
    await settled();
    for (const mock of Object.values(section)) expect(mock).not.toHaveBeenCalled();
  });
});
