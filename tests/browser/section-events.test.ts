/** What the page hears of the section, with the real SDK, over a fake site and hub. */

import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { SectionEvent } from "../../browser/events";
import { openSection, type Section } from "../../browser/section";
import { FakeHub } from "./fake-hub";
import { loadParts } from "./parts";
import { until } from "./until";

const EVENTS: SectionEvent[] = ["connected", "disconnected", "posted", "received", "updated", "deleted"];

let hub: FakeHub;
let host: HTMLElement;
let section: Section;
let heard: string[];

beforeAll(async () => {
  await loadParts();
});

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_700_000_100_000 });
  localStorage.clear();
  hub = new FakeHub().install();
  hub.post("there before");
  heard = [];
  host = document.createElement("p");
  Object.assign(host.dataset, { post: "post-token", endpoint: "/chatix-comments" });
  document.body.replaceChildren(host);
  for (const name of EVENTS) document.body.addEventListener(`chatix:${name}`, note);
  section = openSection(host);
  section.start();
  await untilHeard("connected");
});

afterEach(async () => {
  section.close();
  await vi.advanceTimersByTimeAsync(100);
  for (const name of EVENTS) document.body.removeEventListener(`chatix:${name}`, note);
  vi.useRealTimers();
});

/** Events bubble, so that one listener hears of all sections. */
function note(event: Event): void {
  const { type, target, detail } = event as CustomEvent<{ id?: string; article?: HTMLElement }>;
  expect(target).toBe(host);
  const text = detail.article?.querySelector(".chatix-text")?.textContent;
  heard.push([type.replace("chatix:", ""), detail.id, text].filter(Boolean).join(" "));
}

const untilHeard = (...wanted: string[]) => until(() => expect(heard).toEqual(wanted));

test("comments that come, change and go are told, with the article they are in; history is not", async () => {
  hub.post("new");
  await untilHeard("connected", "received m2 new");
  hub.edit("m2", "newer");
  hub.delete("m2");
  await untilHeard("connected", "received m2 new", "updated m2 newer", "deleted m2");
});

test("what the reader posts is told once it is in the thread", async () => {
  (host.querySelector("input[name=name]") as HTMLInputElement).value = "Robin";
  (host.querySelector("textarea") as HTMLTextAreaElement).value = "mine";
  host.querySelector("form")?.dispatchEvent(new Event("submit", { cancelable: true }));
  await untilHeard("connected", "posted m2 mine");
});

test("a line that breaks and comes back is told once each", async () => {
  hub.kill();
  await untilHeard("connected", "disconnected");
  await vi.advanceTimersByTimeAsync(20_000);
  hub.isDown = false;
  await untilHeard("connected", "disconnected", "connected");
  section.depart();
  await untilHeard("connected", "disconnected", "connected", "disconnected");
});

test("of whispers the page hears nothing", async () => {
  hub.setManager(true);
  await vi.advanceTimersByTimeAsync(1_000);
  hub.post("psst", "other", { is_whisper: true });
  hub.post("aloud");
  hub.delete("m2");
  hub.delete("m3");
  await untilHeard("connected", "received m3 aloud", "deleted m3");
});
