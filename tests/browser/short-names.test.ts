// @vitest-environment node
/** The names that the bundle shortens are nobody else's. */

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { MEMORY_NAMES, SHORT_NAMES } from "../../browser/short-names.mjs";

const filesIn = (folder: string, ending: RegExp): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => ending.test(name))
    .map((name) => path.join(folder, name));

const textsIn = (folder: string, ending: RegExp): string =>
  filesIn(folder, ending)
    .map((name) => readFileSync(name, "utf8"))
    .join("\n");

const wordsIn = (text: string): Set<string> => new Set(text.match(/[A-Za-z_$][\w$]*/g));

const ALL = [...SHORT_NAMES, ...MEMORY_NAMES];
const ours = textsIn("browser", /(?<!\.d)\.ts$/);

test("no browser has them", () => {
  const browsers = wordsIn(textsIn("node_modules/@typescript", /[\\/]lib\.[\w.]+\.d\.ts$/));
  expect(browsers).toContain("addEventListener");
  expect(ALL.filter((name) => browsers.has(name))).toEqual([]);
});

test("nor does the SDK, nor what we have put in place of its libraries", () => {
  const sdk = wordsIn(textsIn("node_modules/chatix-core/src", /\.js$/));
  const shims = wordsIn(textsIn("browser/sdk/shims", /\.ts$/));
  expect(sdk).toContain("hubConnection");
  expect(ALL.filter((name) => sdk.has(name) || shims.has(name))).toEqual([]);
});

const propertiesIn = (text: string) =>
  [...text.matchAll(/^ {2}(?:readonly )?(\w+)\??: /gm)].map(([, name]) => name);

test("no member is a property of data, which may be stored, sent, or told to the page", () => {
  const properties = new Set(propertiesIn(ours));
  for (const known of ["mayHaveArrived", "isBySite", "chatroomId"]) expect(properties).toContain(known);
  expect(SHORT_NAMES.filter((name) => properties.has(name))).toEqual([]);
});

test("none is a property of what is stored, or of what is made into JSON or an event in any other place", () => {
  const stored = ["kept-texts.ts", "room-ledger.ts", "last-visit.ts"].map((name) =>
    textsIn("browser", new RegExp(`^${name}$`)),
  );
  const kept = new Set(propertiesIn(stored.join("\n")));
  for (const known of ["clientKey", "mayHaveArrived", "keptAt", "isBySite", "seenAt"])
    expect(kept).toContain(known);
  expect(ALL.filter((name) => kept.has(name))).toEqual([]);
  // Whoever adds to these looks whether what leaves the page there has shortened names in it.
  const leaving =
    /(?:JSON\.stringify|#dispatch|CustomEvent|postMessage|structuredClone|sendBeacon|(?:push|replace)State)\([^`\n]*/g;
  expect([...ours.matchAll(leaving)].map(([text]) => text).sort()).toEqual([
    '#dispatch("deleted", { id: message.id });',
    "#dispatch(event, { id, article: this.#articleOf(id) ?? null });",
    "#dispatch(event: SectionEvent, detail: object): void {",
    '#dispatch(isConnected ? "connected" : "disconnected", {});',
    "CustomEvent(",
    "JSON.stringify(Object.fromEntries([...kept, [place, this.#newest]])));",
    "JSON.stringify(a) === JSON.stringify(b);",
    "JSON.stringify(cursor) !== JSON.stringify(this.#cursor);",
    "JSON.stringify(kept)));",
    "JSON.stringify(record) + RECORD_END);",
    "JSON.stringify({ ...entry, seenAt: Date.now() })));",
    "JSON.stringify({ post: this.#post, ticket, ...body });",
    "JSON.stringify({ ticket, leaves: rows });",
    "sendBeacon(",
  ]);
});

test("they stand in no quotes, and are read from nothing that came from outside", () => {
  const inQuotes = [...ours.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  const read = [...ours.matchAll(/(?:data|answer|body|room|kept|said|detail|dataset)\??\.(\w+)/g)].map(
    ([, name]) => name,
  );
  const theirs = new Set([...inQuotes, ...read]);
  expect(ALL.filter((name) => theirs.has(name))).toEqual([]);
});

test("nor exported: parts of the bundle know each other's exports by their names", () => {
  const exported = [...ours.matchAll(/^export (?:async )?(?:function|const|class|abstract class) (\w+)/gm)];
  const names = new Set(exported.map(([, name]) => name));
  expect(names).toContain("openSection");
  expect(ALL.filter((name) => names.has(name))).toEqual([]);
});

test("all of them are in use, once each", () => {
  const used = wordsIn(ours);
  expect(ALL.filter((name) => !used.has(name))).toEqual([]);
  expect(new Set(ALL).size).toBe(ALL.length);
});
