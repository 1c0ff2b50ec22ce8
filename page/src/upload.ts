// One upload over tus 1.0: from the chosen file to the receipt. The queue decides when it runs.
//
// Invariants: one tab at a time sends a file (where the browser has locks). What the server has acknowledged is never sent
// again, whatever failed: the upload's URL is forgotten only if the server says that it knows no such upload.
import { batch, signal, type Signal } from "@preact/signals";
import { type DetailedError, type HttpRequest, type HttpResponse, Upload as Tus } from "tus-js-client";
import { digestOf, Failure, failure, pathOf, request } from "./api.js";
import type { Found } from "./gather.js";
import { t } from "./i18n.js";
import * as records from "./records.js";
import { authorization, reject, token } from "./token.js";

/**
 * - `waiting`: for its turn; `elsewhere`: for another tab or row that sends the same file
 * - `preparing`, `sending`, `finishing`: in progress
 * - `retrying`: a time lies before the next attempt; `signin`: the server wants a token
 * - `paused`, `failed`: until the person continues
 * - `done`: the file exists; `known`: the same file was sent before
 */
export type State =
  | "waiting" | "elsewhere" | "preparing" | "sending" | "finishing" | "retrying" | "signin" | "paused" | "failed" | "done" | "known";

/** A comparison of the local file with the digest of the server. */
export type Check = { is: "none" } | { is: "running"; part: number } | { is: "equal" } | { is: "different" } | { is: "unreadable" };

/** Bytes in one request at first. A proxy that buffers requests holds as much. */
const CHUNK = 64 << 20;

/** Least bytes in one request, after proxies have refused more. */
const CHUNK_MIN = 256 << 10;

/** Most requests of one upload: the portal joins at most 10,000 parts, and interruptions make more of them. */
const CHUNKS_MAX = 8_000;

/** Seconds before each retry in a row; the last one repeats. */
const DELAYS = [1, 2, 5, 10, 20, 30];

/** The size of requests that the proxies on the way take; the same for all uploads. */
let chunk = CHUNK;

/** Resumes without a byte acknowledged after which requests become smaller: a proxy that buffers loses all that was cut. */
const STUCK_MAX = 2;

/** Makes requests smaller than those of `used` bytes. Returns false if they are as small as they get. */
function shrink(used: number): boolean {
  chunk = Math.min(chunk, Math.max(CHUNK_MIN, Math.floor(used / 8)));
  return used > CHUNK_MIN;
}

let count = 0;

export class Upload {
  readonly id = ++count;
  readonly file: File;
  readonly path: string;
  readonly state: Signal<State> = signal("waiting");
  /** Bytes that were sent, as shown: {@link Upload.publish} copies them some times a second. */
  readonly sent = signal(0);
  /** Bytes a second; 0 if unknown. */
  readonly rate = signal(0);
  readonly error = signal("");
  /** When the next attempt begins, by `performance.now()`. */
  readonly retryAt = signal(0);
  readonly check: Signal<Check> = signal({ is: "none" });
  sha256: string | null = null;
  fileId: string | null = null;

  /** Called when the upload no longer needs its turn, or wants one. */
  onchange: (upload: Upload) => void = () => {};

  #print = "";
  #tus: Tus | null = null;
  #progress = 0;
  #samples: [number, number][] = [];
  /** Failures in a row since the server has last acknowledged bytes: the retries slow down. */
  #failures = 0;
  /** Bytes that the server has acknowledged. */
  #accepted = 0;
  /** Whether this tab has sent any of the file, and not found the file whole on the server. */
  #hasSent = false;
  /** Resumes in a row that found nothing acknowledged: the requests become smaller. */
  #stuck = 0;
  #chunk = CHUNK;
  #timer = 0;
  #release: (() => void) | null = null;
  /** Ends the wait for the lock of a file that another tab sends. */
  #abort = new AbortController();
  /** Counts the runs, so that a late answer of a former one changes nothing. */
  #run = 0;

  constructor({ file, path }: Found) {
    this.file = file;
    this.path = path;
  }

  get name(): string {
    return this.file.name;
  }

  get size(): number {
    return this.file.size;
  }

  /** Whether this upload takes a turn of the queue. */
  get busy(): boolean {
    return ["preparing", "sending", "finishing"].includes(this.state.value);
  }

  /** Whether the upload has ended, by itself or by a failure. */
  get ended(): boolean {
    return ["done", "known", "failed"].includes(this.state.value);
  }

  /** Runs the upload: the queue has given it a turn. */
  async run(): Promise<void> {
    const run = ++this.#run;
    this.#enter("preparing");
    try {
      this.#print ||= await records.fingerprint(this.file, this.path);
    } catch {
      if (run === this.#run) this.#fail(t("problem.unreadable"));
      return;
    }
    if (run !== this.#run || !(await this.#lock(run)) || run !== this.#run) return;
    const record = records.find(this.#print);
    try {
      if (record?.fileId && (await this.#exists(record.fileId))) {
        if (run === this.#run) this.#end("known", record.fileId, this.sha256 ?? record.sha256 ?? null);
        return;
      }
    } catch (error) {
      if (run === this.#run) await this.#failed(error as Failure, token.value);
      return;
    }
    if (run === this.#run) this.#send(record?.fileId ? undefined : record?.url);
  }

  /** Asks whether a file exists, and reads its digest. */
  async #exists(fileId: string): Promise<boolean> {
    try {
      const response = await request("HEAD", pathOf(fileId));
      this.sha256 = digestOf(response.headers.get("repr-digest"));
      return true;
    } catch (error) {
      if (error instanceof Failure && (error.status === 404 || error.status === 410)) return false;
      throw error;
    }
  }

  /** Takes the lock of this file. Returns false if another tab has it: then a later turn comes by itself. */
  async #lock(run: number): Promise<boolean> {
    // Pages without TLS have no locks. There the server decides between two tabs, and both finish.
    if (this.#release || !navigator.locks) return true;
    const name = records.lockOf(this.#print);
    const hold = (granted: () => void) => () =>
      new Promise<void>((resolve) => {
        this.#release = resolve;
        granted();
      });
    const free = await new Promise<boolean>((resolve) => {
      void navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? hold(() => resolve(true))() : resolve(false)));
    });
    if (free) {
      if (run !== this.#run) this.#unlock();
      return true;
    }
    if (run !== this.#run) return false;
    this.#enter("elsewhere");
    this.#abort = new AbortController();
    const again = hold(() => (run === this.#run ? this.#enter("waiting") : this.#unlock()));
    navigator.locks.request(name, { signal: this.#abort.signal }, again).catch(() => {});
    return false;
  }

  #unlock(): void {
    this.#release?.();
    this.#release = null;
  }

  #send(url: string | undefined): void {
    const run = this.#run;
    let shownToken = token.value;
    const current = () => run === this.#run;
    if (this.#stuck >= STUCK_MAX) {
      this.#stuck = 0;
      shrink(chunk);
    }
    this.#chunk = chunk;
    const tus = new Tus(this.file, {
      endpoint: new URL("tus", document.baseURI).href,
      uploadUrl: url ?? null,
      chunkSize: Math.max(chunk, Math.ceil(this.size / CHUNKS_MAX)),
      metadata: this.#metadata(),
      // Retries and records are ours: see the invariants.
      retryDelays: null,
      storeFingerprintForResuming: false,
      onBeforeRequest: (sent: HttpRequest) => {
        shownToken = token.value;
        if (sent.getMethod() !== "HEAD") this.#hasSent = true;
        for (const [name, value] of Object.entries(authorization())) sent.setHeader(name, value);
      },
      onAfterResponse: (sent: HttpRequest, response: HttpResponse) => {
        // The library takes any failed HEAD for an unknown upload and would begin again from the first byte.
        const status = response.getStatus();
        const unknown = status === 404 || status === 410;
        if (sent.getMethod() === "HEAD" && !unknown && (status < 200 || status > 299)) throw read(response);
        const offset = Number(response.getHeader("Upload-Offset") ?? 0);
        if (offset > this.#accepted) {
          this.#accepted = offset;
          this.#failures = this.#stuck = 0;
        } else if (sent.getMethod() === "HEAD") {
          this.#stuck++;
        }
      },
      onUploadUrlAvailable: () => {
        if (current() && tus.url) this.#keep({ url: new URL(tus.url, document.baseURI).href });
      },
      onProgress: (sent: number) => {
        if (current()) this.#progress = sent;
      },
      onSuccess: ({ lastResponse }) => {
        if (current()) void this.#finish(lastResponse.getHeader("Content-Location"), tus.url);
      },
      onError: (error) => {
        if (current()) void this.#failed(reason(error), shownToken);
      },
    });
    this.#tus = tus;
    this.#samples = [];
    this.#enter("sending");
    tus.start();
  }

  #metadata(): { [name: string]: string } {
    // The portal takes no control characters in names.
    const plain = (text: string) => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "_");
    const type = this.file.type ? { filetype: this.file.type } : {};
    const path = this.path.includes("/") ? { relativePath: plain(this.path) } : {};
    return { filename: plain(this.name), ...type, ...path };
  }

  #keep(known: Partial<records.Record>): void {
    records.keep(this.#print, { name: this.name, path: this.path, size: this.size, at: Date.now(), ...known });
  }

  /** Looks up the file that the upload has become. */
  async #finish(location: string | undefined, url: string | null): Promise<void> {
    const run = this.#run;
    this.#progress = this.size;
    this.#enter("finishing");
    try {
      const known = location ?? (url ? (await request("HEAD", url)).headers.get("content-location") : null);
      const fileId = known ? decodeURIComponent(known.split("/").pop() ?? "") : "";
      if (fileId) await this.#exists(fileId);
      const intact = !this.#hasSent || (await this.#readable());
      if (run !== this.#run) return;
      // Browsers compare a file with the chosen one when they open it, and not while they read on.
      if (!intact) {
        records.forget(this.#print);
        return this.#fail(t("problem.changed-meanwhile"));
      }
      if (fileId) this.#keep({ fileId, ...(this.sha256 ? { sha256: this.sha256 } : {}) });
      else records.forget(this.#print);
      this.#end(this.#hasSent ? "done" : "known", fileId || null, this.sha256);
    } catch (error) {
      if (run === this.#run) await this.#failed(error as Failure, token.value);
    }
  }

  #end(state: "done" | "known", fileId: string | null, sha256: string | null): void {
    this.#unlock();
    this.#tus = null;
    this.#progress = this.size;
    this.fileId = fileId;
    this.sha256 = sha256;
    this.#enter(state);
  }

  /** Decides what a failure means: later, after a sign-in, in smaller pieces, or never. */
  async #failed(error: unknown, shownToken: string | null): Promise<void> {
    const run = this.#run;
    const cause = error instanceof Failure ? error : new Failure(0);
    if (cause.status === 0) {
      // A file that has changed or vanished fails like a network.
      const readable = await this.#readable();
      if (run !== this.#run) return;
      if (!readable) return this.#fail(t("problem.changed"));
    }
    if (cause.status === 401) {
      reject(shownToken);
      return this.#enter("signin");
    }
    if (cause.status === 413 && cause.kind === "" && shrink(this.#chunk)) return this.#enter("waiting");
    const lost = this.#tus?.url != null && (cause.status === 404 || cause.status === 410);
    if (!cause.passes && !lost) return this.#fail(cause.explain());
    const delay = Math.max(DELAYS[Math.min(this.#failures, DELAYS.length - 1)] ?? 1, Math.min(cause.retryAfter, 60)) * 1000;
    this.#failures++;
    this.error.value = cause.explain();
    this.retryAt.value = performance.now() + delay;
    this.#timer = window.setTimeout(() => this.retry(), delay);
    this.#enter("retrying");
  }

  /** Whether the file is still the one that was chosen. */
  #readable(): Promise<boolean> {
    return this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
  }

  #fail(reason: string): void {
    this.error.value = reason;
    this.#unlock();
    this.#enter("failed");
  }

  #enter(state: State): void {
    if (this.state.value === state) return;
    this.state.value = state;
    this.publish();
    this.onchange(this);
  }

  /** Asks for a turn now: after a pause, a failure, a sign-in, or in place of waiting for a retry. */
  retry(): void {
    clearTimeout(this.#timer);
    if (!["retrying", "paused", "failed", "signin"].includes(this.state.value)) return;
    this.error.value = "";
    this.#enter("waiting");
  }

  /** Sends a file again that was sent before. */
  again(): void {
    records.forget(this.#print);
    this.#progress = 0;
    this.#hasSent = false;
    this.#enter("waiting");
  }

  pause(): void {
    if (this.ended) return;
    this.#stop();
    this.#unlock();
    this.#enter("paused");
  }

  /** Stops for good, and lets the server remove what it has. */
  cancel(): void {
    const tus = this.#tus;
    const unfinished = !this.ended || this.state.value === "failed";
    this.#stop(false);
    if (unfinished && this.#print) records.forget(this.#print);
    // The server also removes the parts by itself when the upload expires.
    if (unfinished) tus?.abort(tus.url !== null).catch(() => {});
    this.#unlock();
  }

  #stop(abort = true): void {
    this.#run++;
    clearTimeout(this.#timer);
    this.#abort.abort();
    if (abort) this.#tus?.abort(false).catch(() => {});
  }

  /** Copies progress and rate to where the page reads them. */
  publish(): void {
    const now = performance.now();
    if (this.state.value === "sending") {
      this.#samples.push([now, this.#progress]);
      if (this.#samples.length > 24) this.#samples.shift();
    } else {
      this.#samples = [];
    }
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const moved = first && last && last[0] - first[0] > 400 ? ((last[1] - first[1]) * 1000) / (last[0] - first[0]) : 0;
    batch(() => {
      this.sent.value = this.#progress;
      this.rate.value = Math.max(0, moved);
    });
  }
}

function read(response: HttpResponse): Failure {
  const field = (name: string) => response.getHeader(name) ?? null;
  return failure(response.getStatus(), field("Content-Type"), response.getBody() ?? "", field("Retry-After"));
}

/** Returns the failure behind an error of the library. */
function reason(error: Error | DetailedError): Failure {
  if (!("originalRequest" in error)) return new Failure(0);
  if (error.causingError instanceof Failure) return error.causingError;
  const response = error.originalResponse;
  if (!response || response.getStatus() === 0) return new Failure(0);
  const status = response.getStatus();
  // A success without the fields of tus is no answer of the portal, but of something before it.
  return status >= 200 && status < 300 ? new Failure(502) : read(response);
}
