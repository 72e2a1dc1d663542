import { beforeEach, expect, test, vi } from "vitest";
import { isOnScreen, keepPlace } from "../../browser/reading-place";

let region: HTMLElement;
let list: HTMLElement;
let form: HTMLElement;
let scrolled: number[];
/** Where each element begins and how high it is, in pixels from the top of the window. */
const places = new Map<Element, { top: number; height: number }>();

function put(element: HTMLElement, top: number, height: number): void {
  places.set(element, { top, height });
  element.getBoundingClientRect = () => {
    const place = places.get(element) ?? { top: 0, height: 0 };
    return { top: place.top, bottom: place.top + place.height } as DOMRect;
  };
}

function move(elements: readonly Element[], by: number): void {
  for (const element of elements) {
    const place = places.get(element);
    if (place) places.set(element, { ...place, top: place.top + by });
  }
}

const comment = (index: number) => list.children[index] as HTMLElement;

beforeEach(() => {
  vi.stubGlobal("innerHeight", 600);
  scrolled = [];
  vi.stubGlobal("scrollBy", ({ top }: { top: number }) => scrolled.push(top));
  document.body.innerHTML = `<section><div><p></p><p></p><p></p></div><form><textarea></textarea></form></section>`;
  [region, list, form] = ["section", "div", "form"].map((it) =>
    document.querySelector(it),
  ) as HTMLElement[] as [HTMLElement, HTMLElement, HTMLElement];
  put(region, -500, 1400);
  for (const [index, top] of [-400, 50, 300].entries()) put(comment(index), top, 200);
  put(form, 550, 300);
});

test("what comes above the first comment on the screen moves nothing", () => {
  keepPlace(list, form, region, () => move([comment(1), comment(2), form], 120));
  expect(scrolled).toEqual([120]);
});

test("what comes below it moves nothing, and nothing is scrolled", () => {
  keepPlace(list, form, region, () => move([comment(2), form], 120));
  expect(scrolled).toEqual([]);
});

test("if the first one on the screen goes, the next one stays where it is", () => {
  keepPlace(list, form, region, () => {
    const [, first, second] = [...list.children];
    first?.remove();
    move([second as Element, form], -220);
  });
  expect(scrolled).toEqual([-220]);
});

test("whoever writes keeps the form, whatever comes between", () => {
  form.querySelector("textarea")?.focus();
  keepPlace(list, form, region, () => move([comment(2), form], 120));
  expect(scrolled).toEqual([120]);
});

test("whoever reads what is below the section stays there", () => {
  put(region, -1500, 1400);
  keepPlace(list, form, region, () => put(region, -1500, 1520));
  expect(scrolled).toEqual([120]);
});

test("where the section begins on the screen or below, nothing above can change", () => {
  put(region, 10, 1400);
  keepPlace(list, form, region, () => move([comment(1)], 120));
  expect(scrolled).toEqual([]);
});

test("an element is on the screen if any of it is", () => {
  expect([comment(0), comment(1), form].map(isOnScreen)).toEqual([false, true, true]);
  put(form, 601, 300);
  expect(isOnScreen(form)).toBe(false);
});
