// Where files come from: a drop anywhere on the page, a paste, and pickers of files, folders and the camera.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Found, fromDrop, fromPaste, fromPicker } from "../gather.js";
import { t } from "../i18n.js";
import * as queue from "../queue.js";
import { announce } from "./announce.js";

const dragging = signal(false);

/** The paths in the last drop that could not be read. */
const unreadable = signal<readonly string[]>([]);

/** Paths that are shown; the rest is a number. */
const SHOWN = 5;

function add(found: Found[]): void {
  if (found.length === 0) return;
  queue.add(found);
  announce(t("said.added", { count: found.length }));
}

async function drop(event: DragEvent): Promise<void> {
  dragging.value = false;
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  location.hash = "#send";
  unreadable.value = await fromDrop(event.dataTransfer, add);
}

function Picker({ id, text, folder, camera, main }: { id: string; text: string; folder?: boolean; camera?: boolean; main?: boolean }) {
  const more = { ...(folder ? { webkitdirectory: true } : {}), ...(camera ? { capture: "environment" as const, accept: "image/*" } : {}) };
  const choose = ({ currentTarget: input }: { currentTarget: HTMLInputElement }) => {
    if (input.files) add(fromPicker(input.files));
    input.value = ""; // So that the same file can be chosen again.
  };
  return (
    <span class={`picker${camera ? " camera" : ""}`}>
      <input id={id} class="hidden" type="file" multiple={!camera} onChange={choose} {...more} />
      <label for={id} class={main ? "button primary" : "button"}>
        {text}
      </label>
    </span>
  );
}

export function Chooser() {
  return (
    <section class="card chooser" aria-labelledby="chooser-title">
      <h2 id="chooser-title">{t("send.title")}</h2>
      <p>{t("send.drop")}</p>
      <p class="buttons">
        <Picker id="pick-files" text={t("send.files")} main />
        <Picker id="pick-folder" text={t("send.folder")} folder />
        <Picker id="pick-photo" text={t("send.photo")} camera />
      </p>
      <p class="quiet">{t("send.resume")}</p>
      {unreadable.value.length > 0 && (
        <p class="bad" role="alert">
          {t("send.unreadable", { count: unreadable.value.length, names: unreadable.value.slice(0, SHOWN).join(", ") })}
        </p>
      )}
    </section>
  );
}

/** Watches drops and pastes on the whole page, and shows where a drop would go. */
export function DropTarget() {
  useEffect(() => {
    let inside = 0;
    const carries = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      inside++;
      if (carries(event)) dragging.value = true;
    };
    const leave = () => {
      if (--inside <= 0) {
        inside = 0;
        dragging.value = false;
      }
    };
    const over = (event: DragEvent) => {
      if (!carries(event) || !event.dataTransfer) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    };
    const dropped = (event: DragEvent) => {
      inside = 0;
      void drop(event);
    };
    const paste = (event: ClipboardEvent) => {
      const found = fromPaste(event.clipboardData);
      if (found.length === 0) return;
      event.preventDefault();
      location.hash = "#send";
      add(found);
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: over, drop: dropped, paste };
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener as EventListener);
    };
  }, []);
  return dragging.value ? (
    <div class="drop" aria-hidden="true">
      <p>{t("send.here")}</p>
    </div>
  ) : null;
}
