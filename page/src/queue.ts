// The uploads of this tab: which ones run, and how far all of them are.
import { batch, effect, signal } from "@preact/signals";
import type { Found } from "./gather.js";
import { wanted } from "./token.js";
import { type State, Upload } from "./upload.js";

/** Uploads at once. More would share the same network. */
const AT_ONCE = 3;

/** Milliseconds between two updates of what is shown. */
const TICK = 250;

/** All uploads, in the order of their rows. */
export const uploads = signal<readonly Upload[]>([]);

/** How far all uploads are. `rate` is in bytes a second. */
export interface Totals {
  files: number;
  done: number;
  failed: number;
  /** Uploads that run or will run without anybody doing anything. */
  active: number;
  paused: number;
  bytes: number;
  sent: number;
  rate: number;
}

const NONE: Totals = { files: 0, done: 0, failed: 0, active: 0, paused: 0, bytes: 0, sent: 0, rate: 0 };

export const totals = signal<Totals>(NONE);

/** The latest change of an upload's state, for announcements. */
export const latest = signal<{ upload: Upload; state: State } | null>(null);

/** Counts the uploads that have ended well in this tab, so that the list of files is read again. */
export const arrived = signal(0);

/** Uploads whose turn will come, in order. */
const waiting: Upload[] = [];
const busy = new Set<Upload>();
let ticking = 0;

/** Adds files behind the others. */
export function add(found: Found[]): void {
  const added = found.map((one) => new Upload(one));
  for (const upload of added) upload.onchange = changed;
  uploads.value = [...uploads.value, ...added];
  waiting.push(...added);
  pump();
}

function changed(upload: Upload): void {
  const state = upload.state.value;
  if (!upload.busy) busy.delete(upload);
  if (state === "waiting") waiting.push(upload);
  if (state === "done") arrived.value++;
  latest.value = { upload, state };
  pump();
}

/** Gives turns. While the server wants a token, nobody gets one. */
function pump(): void {
  while (busy.size < AT_ONCE && waiting.length && wanted.value === null) {
    const upload = waiting.shift() as Upload;
    if (upload.state.value !== "waiting" || busy.has(upload)) continue;
    busy.add(upload);
    void upload.run();
  }
  if (!ticking) ticking = window.setInterval(tick, TICK);
}

function tick(): void {
  batch(() => {
    for (const upload of busy) upload.publish();
    const sum = { ...NONE };
    for (const upload of uploads.value) {
      const state = upload.state.value;
      sum.files++;
      sum.bytes += upload.size;
      sum.sent += upload.sent.value;
      sum.rate += upload.rate.value;
      if (state === "done" || state === "known") sum.done++;
      else if (state === "failed") sum.failed++;
      else if (state === "paused") sum.paused++;
      else sum.active++;
    }
    totals.value = sum;
  });
  if (totals.value.active === 0) {
    clearInterval(ticking);
    ticking = 0;
  }
}

export function pauseAll(): void {
  for (const upload of uploads.value) upload.pause();
  tick();
}

/** Continues what is paused, and tries again what has failed. */
export function resumeAll(): void {
  for (const upload of uploads.value) if (["paused", "failed"].includes(upload.state.value)) upload.retry();
  tick();
}

/** Removes an upload from the list. One that has not ended is cancelled. */
export function remove(upload: Upload): void {
  upload.cancel();
  busy.delete(upload);
  uploads.value = uploads.value.filter((other) => other !== upload);
  tick();
  pump();
}

/** Removes the rows of uploads that have ended well. */
export function clearDone(): void {
  uploads.value = uploads.value.filter((upload) => !["done", "known"].includes(upload.state.value));
  tick();
}

/** Tries again at once what waits for the network or for a sign-in. */
function wake(): void {
  for (const upload of uploads.value) if (["retrying", "signin"].includes(upload.state.value)) upload.retry();
  pump();
}

/** Starts to watch the network and the sign-in. */
export function watch(): void {
  addEventListener("online", wake);
  effect(() => {
    if (wanted.value === null) queueMicrotask(wake);
  });
  addEventListener("beforeunload", (event) => {
    if (totals.value.active > 0) event.preventDefault();
  });
}
