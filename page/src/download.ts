// Downloads with a token. Without one a plain link does it.
//
// A link cannot carry a token except in its URL, where logs and histories would keep it. So the page reads the file itself:
// into a file that the person chooses, where the browser can (nothing is held in memory), or else into memory up to a limit.
import { signal } from "@preact/signals";
import { Failure, pathOf, request } from "./api.js";
import type { StoredFile } from "./files.js";
import { shown, size } from "./format.js";
import { t } from "./i18n.js";

/** Most bytes of a download that goes through the memory of the tab. */
export const MEMORY_MAX = 512 << 20;

/** The downloads in progress by file id, as the part that has arrived. */
export const running = signal<ReadonlyMap<string, number>>(new Map());

/** Downloads a file. Returns what went wrong, for people; empty after a success. */
export async function download(file: StoredFile): Promise<string> {
  if (running.value.has(file.file_id)) return "";
  try {
    if (window.showSaveFilePicker) {
      const target = await window.showSaveFilePicker({ suggestedName: shown(file.original_filename) });
      await receive(file, await target.createWritable());
      return "";
    }
    if (file.size_bytes > MEMORY_MAX) return t("download.too-large", { limit: size(MEMORY_MAX) });
    const pieces: BlobPart[] = [];
    await receive(file, new WritableStream({ write: (piece: BlobPart) => void pieces.push(piece) }));
    save(new Blob(pieces, { type: "application/octet-stream" }), file.original_filename);
    return "";
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return "";
    return error instanceof Failure ? error.explain() : t("download.failed");
  } finally {
    progress(file, null);
  }
}

/** Moves a file into a stream. A download that is cut off fails; the stream then keeps nothing. */
async function receive(file: StoredFile, target: WritableStream): Promise<void> {
  progress(file, 0);
  let done = 0;
  let shown = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, out) {
      done += piece.length;
      if (done - shown > file.size_bytes / 100) progress(file, (shown = done) / file.size_bytes);
      out.enqueue(piece);
    },
    flush() {
      if (done !== file.size_bytes) throw new TypeError("cut off");
    },
  });
  try {
    const response = await request("GET", pathOf(file.file_id));
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

function progress(file: StoredFile, part: number | null): void {
  const next = new Map(running.value);
  if (part === null) next.delete(file.file_id);
  else next.set(file.file_id, part);
  running.value = next;
}
