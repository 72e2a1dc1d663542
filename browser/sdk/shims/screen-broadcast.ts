/**
 * What chatix-core's `import ScreenBroadcast from "./screenBroadcast"` is bundled to: nothing.
 *
 * The published file copies the page and listens to clicks and inputs when a manager asks for it. A comment
 * section never wants that.
 */
export default class ScreenBroadcast {
  managerEvents(): void {}
}
