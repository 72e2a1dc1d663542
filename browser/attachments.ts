/**
 * The files of a comment: chosen, pasted or dropped, listed in the form until they are in the thread.
 */

import { formatBytes } from "./amounts";
import type { CommentForm } from "./comment-form";
import { make } from "./dom";
import { describeLimits, faultOf, pixelFaultOf } from "./file-limits";
import { entryStrings } from "./i18n";
import { newKey } from "./keys";
import type { FileLimits } from "./limits";
import { loadPicture } from "./load-picture";
import { writingStrings as strings } from "./writing-strings";

const EXTENSION = /\.([\p{L}\p{N}]{1,4})$/u;

export interface AttachmentsListener {
  /** The reader has chosen or removed something. */
  changed(): void;
  /** So many files are in the list now. */
  counted(count: number): void;
  /** Sentences about files that were not taken. */
  refused(reasons: readonly string[]): void;
  /** This file is not to be posted any more; it may be under way. */
  withdrawn(file: File): void;
  /** The reader wants this file, which was not posted, to be tried again. */
  retried(file: File): void;
}

interface Row {
  readonly element: HTMLElement;
  readonly preview: HTMLElement;
  readonly progress: HTMLProgressElement;
  readonly button: HTMLButtonElement;
  /** Offered while a file has not been posted. */
  again: HTMLButtonElement | null;
}

export class Attachments {
  readonly list = make("ul", {
    class: "chatix-files",
    "aria-label": strings.attached,
    "aria-live": "polite",
    "aria-relevant": "additions",
    hidden: true,
  });
  /** What to say about files while none can be taken; `null`: they are not our business then. */
  refusal: string | null = null;
  readonly #listener: AttachmentsListener;
  readonly #form: CommentForm;
  readonly #hint = make("span", { class: "chatix-limits", id: `chatix-${newKey()}` });
  readonly #rows = new Map<File, Row>();
  #underWay: ReadonlySet<File> = new Set();
  #limits: FileLimits | null = null;

  /** @param form Has the control; files may be pasted and dropped there as well. */
  constructor(form: CommentForm, listener: AttachmentsListener) {
    this.#form = form;
    this.#listener = listener;
    const { element, files, attach } = form;
    files.setAttribute("aria-describedby", this.#hint.id);
    attach.after(this.#hint);
    files.addEventListener("change", () => this.takeChosen());
    element.addEventListener("paste", (event) => this.#onPaste(event));
    element.addEventListener("dragover", (event) => this.#onDragOver(event, element));
    element.addEventListener("dragleave", (event) => this.#onDragLeave(event, element));
    element.addEventListener("drop", (event) => this.#onDrop(event, element));
  }

  /** What will be posted, in the order in which it was chosen. */
  get files(): readonly File[] {
    return [...this.#rows.keys()];
  }

  set limits(limits: FileLimits | null) {
    this.#limits = limits;
    this.#form.attach.hidden = limits === null;
    this.#hint.hidden = limits === null;
    this.#hint.textContent = limits && describeLimits(limits);
    this.#form.files.accept = limits?.types?.join(",") ?? "";
  }

  /** Take what is within the limits, and say about the others why not. */
  take(files: readonly File[]): void {
    const limits = this.#limits;
    if (!this.#isHeeded || files.length === 0) return;
    this.#listener.changed();
    if (!limits) {
      if (this.refusal) this.#listener.refused([this.refusal]);
      return;
    }
    const reasons: string[] = [];
    const surplus: string[] = [];
    for (const file of files) {
      const fault = faultOf(file, limits);
      if (fault) reasons.push(fault);
      else if (this.#rows.size >= limits.most) surplus.push(file.name);
      else this.#add(file);
    }
    if (surplus.length > 0) reasons.push(strings.tooManyFiles(surplus, limits.most));
    if (reasons.length > 0) this.#listener.refused(reasons);
  }

  /** Whether files are taken, or refused in words. Else the browser does with them what it does. */
  get #isHeeded(): boolean {
    return this.#limits !== null || this.refusal !== null;
  }

  /** Let go of a file: it is in the thread, or nobody wants it. The keyboard stays in the list. */
  remove(file: File): void {
    const row = this.#rows.get(file);
    if (!row) return;
    const hadFocus = row.element.contains(document.activeElement);
    const neighbour = row.element.nextElementSibling ?? row.element.previousElementSibling;
    this.#rows.delete(file);
    row.element.remove();
    this.#count();
    if (hadFocus) (neighbour?.querySelector("button") ?? this.#form.files).focus();
  }

  /** Show which files are under way; the others are only chosen. */
  show(underWay: ReadonlySet<File>): void {
    this.#underWay = underWay;
    for (const [file, row] of this.#rows) this.#fill(row, file);
  }

  /** This one was not posted, for a reason that may pass. */
  offerAgain(file: File): void {
    const row = this.#rows.get(file);
    if (!row || row.again) return;
    const name = `${entryStrings.tryAgain}: ${file.name}`;
    row.again = make("button", { type: "button", "aria-label": name }, entryStrings.tryAgain);
    row.again.addEventListener("click", () => this.#listener.retried(file));
    row.button.after(row.again);
  }

  #fill(row: Row, file: File): void {
    const { progress, button } = row;
    const isUnderWay = this.#underWay.has(file);
    if (isUnderWay) takeAway(row);
    const action = isUnderWay ? strings.cancel : strings.remove;
    progress.hidden = !isUnderWay;
    if (!isUnderWay) progress.value = 0;
    button.textContent = action;
    button.setAttribute("aria-label", `${action} ${file.name}`);
  }

  /** Show which part of a file has gone out, from 0 to 1; `null` if nobody can tell. */
  showProgress(file: File, part: number | null): void {
    const progress = this.#rows.get(file)?.progress;
    if (part === null) progress?.removeAttribute("value");
    else if (progress) progress.value = part;
  }

  #add(file: File): void {
    const preview = make("span", { class: "chatix-preview", "aria-hidden": "true" }, extensionOf(file.name));
    const progress = make("progress", { max: "1", value: "0", "aria-label": strings.uploading(file.name) });
    const button = make("button", { type: "button" });
    const name = make("bdi", { class: "chatix-file-name" }, file.name);
    const size = make("span", { class: "chatix-size" }, formatBytes(file.size));
    const facts = make("span", { class: "chatix-facts" }, name, size, progress);
    const element = make("li", {}, preview, facts, button);
    const row: Row = { element, preview, progress, button, again: null };
    button.addEventListener("click", () => this.#withdraw(file));
    this.#rows.set(file, row);
    this.list.append(element);
    this.#count();
    this.#fill(row, file);
    void this.#inspect(file, row);
  }

  #count(): void {
    this.list.hidden = this.#rows.size === 0;
    this.#listener.counted(this.#rows.size);
  }

  /** Look into the file. Should it be under way by the time that something is found, it is stopped. */
  async #inspect(file: File, row: Row): Promise<void> {
    const limits = this.#limits;
    // Whoever cannot load it hears from the hub what is wrong with a picture.
    const picture = await loadPicture().catch(() => null);
    if (!picture) return;
    const size = await picture.imageSize(file).catch(() => "unreadable" as const);
    if (size === "unreadable") this.#reject(file, strings.unreadableFile(file.name));
    else if (size && limits) {
      const fault = pixelFaultOf(file.name, size, limits);
      if (fault) this.#reject(file, fault);
      else await picture.drawPreview(row.preview, file, size);
    }
  }

  #reject(file: File, reason: string): void {
    if (!this.#rows.has(file)) return;
    this.remove(file);
    this.#listener.withdrawn(file);
    this.#listener.refused([reason]);
  }

  #withdraw(file: File): void {
    this.remove(file);
    this.#listener.changed();
    this.#listener.withdrawn(file);
  }

  /** Take what the control holds. */
  takeChosen(): void {
    const { files } = this.#form;
    this.take([...(files.files ?? [])]);
    // So that the same file can be chosen again after it was removed.
    files.value = "";
  }

  #onPaste(event: ClipboardEvent): void {
    const files = [...(event.clipboardData?.files ?? [])];
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!this.#isHeeded || files.length === 0 || isMeant(text, files)) return;
    event.preventDefault();
    this.take(files);
  }

  #onDragOver(event: DragEvent, form: HTMLElement): void {
    if (!this.#isHeeded || !event.dataTransfer?.types.includes("Files")) return;
    // Otherwise the browser would open the file in place of the page, and what was written would be lost.
    event.preventDefault();
    form.classList.toggle("chatix-dropping", this.#limits !== null);
  }

  #onDragLeave(event: DragEvent, form: HTMLElement): void {
    if (!form.contains(event.relatedTarget as Node | null)) form.classList.remove("chatix-dropping");
  }

  #onDrop(event: DragEvent, form: HTMLElement): void {
    form.classList.remove("chatix-dropping");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!this.#isHeeded || files.length === 0) return;
    event.preventDefault();
    this.take(files);
  }
}

/** The keyboard, which has pressed it, goes on beside it. */
function takeAway(row: Row): void {
  const hadFocus = row.again !== null && row.again === document.activeElement;
  row.again?.remove();
  row.again = null;
  if (hadFocus) row.button.focus();
}

/** Word processors copy a picture of the text along with it, and file managers the names of the files. */
function isMeant(text: string, files: readonly File[]): boolean {
  const names = new Set(files.map(({ name }) => name));
  return text.split(/[\r\n]+/).some((line) => line !== "" && !names.has(line));
}

const extensionOf = (name: string): string => EXTENSION.exec(name)?.[1]?.toUpperCase() ?? "";
