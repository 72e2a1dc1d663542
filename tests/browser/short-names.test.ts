// @vitest-environment node
/** The names that the bundle shortens are nobody else's. */

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { SHORT_NAMES } from "../../browser/short-names.mjs";

const filesIn = (folder: string, ending: RegExp): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => ending.test(name))
    .map((name) => path.join(folder, name));

const textsIn = (folder: string, ending: RegExp): string =>
  filesIn(folder, ending)
    .map((name) => readFileSync(name, "utf8"))
    .join("\n");

const wordsIn = (text: string): Set<string> => new Set(text.match(/[A-Za-z_$][\w$]*/g));

const ours = textsIn("browser", /(?<!\.d)\.ts$/);

test("no browser has them", () => {
  const browsers = wordsIn(textsIn("node_modules/@typescript", /[\\/]lib\.[\w.]+\.d\.ts$/));
  expect(browsers).toContain("addEventListener");
  expect(SHORT_NAMES.filter((name) => browsers.has(name))).toEqual([]);
});

test("nor does the SDK, nor what we have put in place of its libraries", () => {
  const sdk = wordsIn(textsIn("node_modules/chatix-core/src", /\.js$/));
  const shims = wordsIn(textsIn("browser/sdk/shims", /\.ts$/));
  expect(sdk).toContain("hubConnection");
  expect(SHORT_NAMES.filter((name) => sdk.has(name) || shims.has(name))).toEqual([]);
});

test("they are no property of what is stored, sent, or told to the page", () => {
  const properties = [...ours.matchAll(/^ {2}(?:readonly )?(\w+)\??: /gm)].map(([, name]) => name);
  const inQuotes = [...ours.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  const read = [...ours.matchAll(/(?:data|answer|body|room|kept|said|detail|dataset)\??\.(\w+)/g)].map(
    ([, name]) => name,
  );
  for (const known of ["mayHaveArrived", "isBySite", "chatroomId"]) expect(properties).toContain(known);
  const theirs = new Set([...properties, ...inQuotes, ...read]);
  expect(SHORT_NAMES.filter((name) => theirs.has(name))).toEqual([]);
});

test("nor exported: parts of the bundle know each other's exports by their names", () => {
  const exported = [...ours.matchAll(/^export (?:async )?(?:function|const|class|abstract class) (\w+)/gm)];
  const names = new Set(exported.map(([, name]) => name));
  expect(names).toContain("openSection");
  expect(SHORT_NAMES.filter((name) => names.has(name))).toEqual([]);
});

test("all of them are in use, once each", () => {
  const used = wordsIn(ours);
  expect(SHORT_NAMES.filter((name) => !used.has(name))).toEqual([]);
  expect(new Set(SHORT_NAMES).size).toBe(SHORT_NAMES.length);
});
