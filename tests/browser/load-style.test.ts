import { beforeEach, expect, test, vi } from "vitest";

/** Where files of the bundle are, for the modules of these tests. */
const UP = "../../browser/";
const FOLDER = new URL(UP, import.meta.url).href;

/** The browser of these tests fetches nothing; whether it says that a file came is set here. */
const { settings } = (
  window as unknown as { happyDOM: { settings: { handleDisabledFileLoadingAsSuccess: boolean } } }
).happyDOM;

beforeEach(() => {
  vi.resetModules();
  document.head.replaceChildren();
  settings.handleDisabledFileLoadingAsSuccess = true;
});

function addLink(href: string): HTMLLinkElement {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
  return link;
}

const hrefs = () => [...document.querySelectorAll("link")].map(({ href }) => href.replace(FOLDER, ""));

async function newLoader(): Promise<() => Promise<void>> {
  return (await import("../../browser/load-style")).loadStyle;
}

test("comes right behind our first style, so that the site's own counts more, and once", async () => {
  addLink("http://blog.test/first.css");
  addLink(`${FOLDER}comments.css`);
  addLink("http://blog.test/last.css");
  const loadStyle = await newLoader();
  await Promise.all([loadStyle(), loadStyle()]);
  await loadStyle();
  expect(hrefs()).toEqual([
    "http://blog.test/first.css",
    "comments.css",
    "section.css",
    "http://blog.test/last.css",
  ]);
});

test("more of ours comes behind it, and is a request of its own", async () => {
  addLink(`${FOLDER}comments.css`);
  addLink("http://blog.test/last.css");
  const { loadStyle, styleLoader } = await import("../../browser/load-style");
  const loadMore = styleLoader("./more.css");
  await loadStyle();
  await Promise.all([loadMore(), loadMore()]);
  expect(hrefs()).toEqual(["comments.css", "section.css", "more.css", "http://blog.test/last.css"]);
});

test("comes before all styles of a page that has put our first one elsewhere", async () => {
  addLink("http://blog.test/all.css");
  await (await newLoader())();
  expect(hrefs()).toEqual(["section.css", "http://blog.test/all.css"]);
});

test("a style that cannot be had holds nothing up, and is asked for again by the next section", async () => {
  settings.handleDisabledFileLoadingAsSuccess = false;
  vi.spyOn(console, "error").mockImplementation(() => {});
  const loadStyle = await newLoader();
  await loadStyle();
  expect(hrefs()).toEqual([]);
  settings.handleDisabledFileLoadingAsSuccess = true;
  await loadStyle();
  expect(hrefs()).toEqual(["section.css"]);
});
