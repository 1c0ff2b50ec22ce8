// What screen readers are told: one sentence at a time, at most one a second.
import { effect, signal } from "@preact/signals";
import { t } from "../i18n.js";
import { latest } from "../queue.js";

const GAP = 1_000;

const said = signal("");

let next = "";
let timer = 0;

/** Says a sentence. A newer one takes the place of one that still waits. */
export function announce(text: string): void {
  next = text;
  if (timer) return;
  const say = () => {
    timer = 0;
    if (!next) return;
    // The same text twice is no change, and no change is not read.
    said.value = next === said.value ? `${next}\u00a0` : next;
    next = "";
    timer = window.setTimeout(say, GAP);
  };
  say();
}

/** Announces how uploads end. Starts once. */
export function announceUploads(): void {
  effect(() => {
    const change = latest.value;
    if (!change) return;
    const { upload, state } = change;
    if (state === "done") announce(t("said.done", { name: upload.name }));
    if (state === "known") announce(t("said.known", { name: upload.name }));
    if (state === "failed") announce(t("said.failed", { name: upload.name, reason: upload.error.peek() }));
    if (state === "retrying") announce(t("said.retrying", { name: upload.name, reason: upload.error.peek() }));
  });
}

export function LiveRegion() {
  return (
    <div role="status" class="hidden">
      {said.value}
    </div>
  );
}
