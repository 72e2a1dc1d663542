// @vitest-environment node
/** How late parts of the bundle and the section agree on what they share. */

import { expect, test } from "vitest";
import { givingSection, type Taken, takeFromSection } from "../../browser/late-parts.mjs";

const EXPORTS = 'globalThis[Symbol.for("chatix-comments %GROUP%")]';

test("what two parts take has one place in the section's list, whatever they call it", () => {
  const taken: Taken[] = [];
  const first = takeFromSection(
    'import{make as t,link}from"section:browser/dom.ts";import{Chat as e}from"section:browser/chat.ts";t(e,link);',
    taken,
  );
  const second = takeFromSection('class A{}import{Chat as n}from"section:browser/chat.ts";new n', taken);
  expect(first).toBe(`const{0:t,1:link,2:e}=${EXPORTS};t(e,link);`);
  expect(second).toBe(`const{2:n}=${EXPORTS};class A{}new n`);
  expect(givingSection(taken, "browser/sdk.ts").split("\n")).toEqual([
    'import "./browser/sdk.ts";',
    'import { make as e0 } from "./browser/dom.ts";',
    'import { link as e1 } from "./browser/dom.ts";',
    'import { Chat as e2 } from "./browser/chat.ts";',
    `${EXPORTS} = [e0, e1, e2];`,
    'export * from "./browser/section";',
  ]);
});

test("the same name in two modules is two things", () => {
  const taken: Taken[] = [];
  const text = takeFromSection(
    'import{post as a}from"section:browser/a.ts";import{post as b}from"section:browser/b.ts";a(b)',
    taken,
  );
  expect(text).toBe(`const{0:a,1:b}=${EXPORTS};a(b)`);
});

test("an import that cannot be taken apart stops the build", () => {
  expect(() => takeFromSection('import*as t from"section:browser/dom.ts";', [])).toThrow("not known");
});
