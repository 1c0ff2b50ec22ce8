// Downloads of files, and of many files as one zip that the portal makes while it is read.
//
// Without a token a link does it, or a form for a zip. Neither can carry a token except in its URL, where logs and histories
// would keep it. So with a token the page reads the content itself: into a file that the person chooses, where the browser can
// (nothing is held in memory), or else into memory up to a limit.
import { signal } from "@preact/signals";
import { Failure, pathOf, request } from "./api.js";
import type { StoredFile } from "./files.js";
import { shown, size } from "./format.js";
import { t } from "./i18n.js";

/** Most bytes of a download that goes through the memory of the tab. */
export const MEMORY_MAX = 512 << 20;

/** Most files in one zip: the limit of the portal. */
export const ZIP_MAX = 1_000;

/** The key of a zip among the downloads. */
export const ZIP = "zip";

const ZIP_PATH = "files.zip";

/** The downloads in progress, by file id or {@link ZIP}, as the part that has arrived. */
export const running = signal<ReadonlyMap<string, number>>(new Map());

/** Content that can be downloaded. */
interface Source {
  key: string;
  name: string;
  /** The size in bytes, which for a zip is that of its files. */
  size: number;
  open: () => Promise<Response>;
}

/** Downloads a file with a token. Returns what went wrong, for people; empty after a success. */
export function download(file: StoredFile): Promise<string> {
  const open = () => request("GET", pathOf(file.file_id));
  return receive({ key: file.file_id, name: file.original_filename, size: file.size_bytes, open });
}

/** Downloads files as one zip with a token, as {@link download} does. */
export function downloadZip(files: readonly StoredFile[]): Promise<string> {
  const open = () => request("POST", ZIP_PATH, { form: new URLSearchParams(files.map((file) => ["id", file.file_id])) });
  return receive({ key: ZIP, name: ZIP_PATH, size: sum(files), open });
}

/** Lets the browser download files as one zip, without a token. A failure shows in a tab of its own, so the queue stays. */
export function browseZip(files: readonly StoredFile[]): void {
  const form = document.createElement("form");
  form.method = "post";
  form.action = new URL(ZIP_PATH, document.baseURI).href;
  form.target = "_blank";
  for (const { file_id } of files) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = "id";
    field.value = file_id;
    form.append(field);
  }
  document.body.append(form);
  form.submit();
  form.remove();
}

/** Returns the bytes of some files. */
export const sum = (files: readonly StoredFile[]): number => files.reduce((bytes, file) => bytes + file.size_bytes, 0);

async function receive(source: Source): Promise<string> {
  if (running.value.has(source.key)) return "";
  try {
    if (window.showSaveFilePicker) {
      const target = await window.showSaveFilePicker({ suggestedName: shown(source.name) });
      await move(source, await target.createWritable());
      return "";
    }
    if (source.size > MEMORY_MAX) return t("download.too-large", { limit: size(MEMORY_MAX) });
    const pieces: BlobPart[] = [];
    await move(source, new WritableStream({ write: (piece: BlobPart) => void pieces.push(piece) }));
    save(new Blob(pieces, { type: "application/octet-stream" }), source.name);
    return "";
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return "";
    return error instanceof Failure ? error.explain() : t("download.failed");
  } finally {
    progress(source, null);
  }
}

/** Moves content into a stream. A download that is cut off fails; the stream then keeps nothing. */
async function move(source: Source, target: WritableStream): Promise<void> {
  progress(source, 0);
  try {
    const response = await source.open();
    const length = Number(response.headers.get("content-length") ?? source.size);
    let done = 0;
    let shown = 0;
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, out) {
        done += piece.length;
        if (done - shown > length / 100) progress(source, (shown = done) / length);
        out.enqueue(piece);
      },
      flush() {
        if (done !== length) throw new TypeError("cut off");
      },
    });
    await (response.body ?? new Blob([]).stream()).pipeThrough(count).pipeTo(target);
  } catch (error) {
    await target.abort().catch(() => {});
    throw error;
  }
}

function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function progress({ key }: Source, part: number | null): void {
  const next = new Map(running.value);
  if (part === null) next.delete(key);
  else next.set(key, part);
  running.value = next;
}
