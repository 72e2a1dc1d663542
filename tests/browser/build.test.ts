// @vitest-environment node
/** What `node browser/build.mjs OUTDIR` leaves in OUTDIR. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";

const KILOBYTE = 1024;

let outdir: string;
let report: string;
let manifest: Record<string, string>;

const build = () => execFileSync(process.execPath, ["browser/build.mjs", outdir], { encoding: "utf8" });
const read = (name: string) => readFileSync(path.join(outdir, name), "utf8");
const file = (logicalName: string) => read(manifest[logicalName] ?? "missing");
const gzipped = (logicalName: string) => gzipSync(file(logicalName), { level: 9 }).length;

beforeAll(() => {
  outdir = mkdtempSync(path.join(tmpdir(), "bundle-"));
  for (const stale of [
    "comments-00000000.js",
    "section-00000000.js",
    "hosted-00000000.js",
    "sdk-00000000.js",
    "signalr-00000000.js",
    "comments-00000000.css",
  ]) {
    writeFileSync(path.join(outdir, stale), "");
  }
  writeFileSync(path.join(outdir, "somebody-elses.txt"), "");
  report = build();
  manifest = JSON.parse(read("manifest.json"));
});

afterAll(() => rmSync(outdir, { recursive: true }));

test("the manifest names hashed files, and nothing stale is left", () => {
  expect(manifest).toEqual({
    "comments.js": expect.stringMatching(/^comments-[A-Z0-9]{8}\.js$/),
    "comments.css": expect.stringMatching(/^comments-[A-Z0-9]{8}\.css$/),
    "section.css": expect.stringMatching(/^section-[A-Z0-9]{8}\.css$/),
    "section.js": expect.stringMatching(/^section-[A-Z0-9]{8}\.js$/),
    "hosted.js": expect.stringMatching(/^hosted-[A-Z0-9]{8}\.js$/),
    "more.css": expect.stringMatching(/^more-[A-Z0-9]{8}\.css$/),
    "writing.js": expect.stringMatching(/^writing-[A-Z0-9]{8}\.js$/),
    "returning.js": expect.stringMatching(/^returning-[A-Z0-9]{8}\.js$/),
    "picture.js": expect.stringMatching(/^picture-[A-Z0-9]{8}\.js$/),
    "aids.js": expect.stringMatching(/^aids-[A-Z0-9]{8}\.js$/),
    "section-hosted.js": expect.stringMatching(/^section-hosted-[A-Z0-9]{8}\.js$/),
    "sdk.js": expect.stringMatching(/^sdk-[A-Z0-9]{8}\.js$/),
    "signalr.js": expect.stringMatching(/^signalr-[A-Z0-9]{8}\.js$/),
  });
  const expected = [...Object.values(manifest), "NOTICE.txt", "manifest.json", "somebody-elses.txt"];
  expect(readdirSync(outdir).sort()).toEqual(expected.sort());
  for (const name of Object.values(manifest)) expect(report).toContain(name);
});

test("the same sources make the same files", () => {
  const before = readdirSync(outdir).map((name) => [name, read(name)]);
  build();
  expect(readdirSync(outdir).map((name) => [name, read(name)])).toEqual(before);
});

/** What a page loads before the section is near. */
const FIRST = ["comments.js", "comments.css"];
/** What a reader of the built-in hub loads; who writes loads more. */
const USUAL = [...FIRST, "section.js", "section.css"];

const kilobytes = (names: string[]) => names.reduce((sum, name) => sum + gzipped(name), 0) / KILOBYTE;

test("parts ask for each other by their hashed names", () => {
  expect(file("comments.js")).toContain(`./${manifest["section.js"]}`);
  expect(file("comments.js")).toContain(`./${manifest["section.css"]}`);
  expect(file("comments.js")).toContain(`./${manifest["section-hosted.js"]}`);
  for (const name of ["section.js", "section-hosted.js"])
    expect(file(name)).toContain(`./${manifest["sdk.js"]}`);
});

test("what is loaded is bounded: before the section is near, and in all", () => {
  expect(kilobytes(FIRST)).toBeLessThan(3);
  expect(kilobytes(USUAL)).toBeLessThan(20);
});

test("the SDK is in a part of its own and in the section for our hub, on the shims", () => {
  for (const sdkOnly of ["SavePageInfo", "hubConnection", "https://app1.chatix.io:5022/v1"]) {
    for (const name of ["sdk.js", "section.js"]) expect(file(name)).toContain(sdkOnly);
  }
  for (const name of ["comments.js", "section-hosted.js"]) {
    expect(file(name)).not.toContain("SavePageInfo");
  }
  // axios, screenBroadcast.js, lz-string and the published SignalR client, by words that minifying keeps.
  for (const theirs of [
    "XSRF-TOKEN",
    "getElementsByTagName",
    "LZString",
    "compressToEncodedURIComponent",
    "LongPolling",
  ]) {
    for (const name of ["sdk.js", "section.js"]) expect(file(name)).not.toContain(theirs);
  }
});

test("of the SDK, readers of our own hub load what is called there, and others all of it", () => {
  for (const both of ["GetMyChatrooms", "ConnectToChatroom", "DisconnectFromChatroom", "/visitor/get-id"]) {
    expect(file("section.js")).toContain(both);
    expect(file("sdk.js")).toContain(both);
  }
  for (const hostedOnly of [
    "SaveChatroomMessage",
    "/file/save?visitorId=",
    "GetWebChatManagers",
    "GetVisitorByVisitor",
    "ApplyErrorMessage",
    "onConversationMessageUpdated",
    "PostScreenData",
  ]) {
    expect(file("sdk.js")).toContain(hostedOnly);
    expect(file("section.js")).not.toContain(hostedOnly);
  }
});

test("the published SignalR client is a part for those who need it", () => {
  for (const name of ["sdk.js", "section.js"]) expect(file(name)).toContain(`./${manifest["signalr.js"]}`);
  expect(file("signalr.js")).toContain("LongPolling");
});

test("late parts are asked for by the section, and take from it what both need", () => {
  const key = /Symbol\.for\("chatix-comments [A-Z0-9]{8}"\)/.exec(file("section.js"))?.[0] ?? "missing";
  expect(file("section-hosted.js")).toContain(`${key}]=[`);
  const asked = {
    "writing.js": ["picture.js"],
    "section.js": ["hosted.js", "writing.js", "returning.js", "aids.js"],
    "section-hosted.js": ["hosted.js", "writing.js", "returning.js", "aids.js"],
  };
  for (const [by, names] of Object.entries(asked)) {
    for (const name of names) expect(file(by)).toContain(`./${manifest[name]}`);
  }
  expect(file("section.js")).toContain(`./${manifest["more.css"]}`);
  for (const name of Object.values(asked).flat()) {
    // At once, and by places in the section's list.
    expect(file(name).split(key)).toHaveLength(2);
    expect(file(name)).toMatch(/\{\d+:\w+[^{}]*\}=globalThis\[/);
    expect(file(name)).not.toMatch(/%GROUP%|"section:/);
  }
  // One class of errors for all, or `instanceof` would be wrong.
  expect(file("section.js")).toContain('"RefusedError"');
  expect(file("hosted.js")).not.toContain('"RefusedError"');
});

test("nothing needs a laxer Content-Security-Policy", () => {
  for (const name of Object.keys(manifest)) {
    expect(file(name)).not.toMatch(/\beval\(|new Function\(|\.innerHTML|setAttribute\("style"/);
  }
});

test("the licences of what is bundled are there, and only theirs", () => {
  const notice = read("NOTICE.txt");
  expect(notice).toMatch(/^chatix-core 1\.3\.3$/m);
  expect(notice).toContain("Copyright (c) 2019 Sovinfsistemy, LLC");
  expect(notice).toMatch(/^@microsoft\/signalr 10\.0\.11$/m);
  expect(notice).toContain("Copyright (c) .NET Foundation and Contributors");
  expect(notice.match(/^-{80}$/gm)).toHaveLength(2);
});
