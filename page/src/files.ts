// The files of the portal: the listing, a search, an order.
import { computed, signal } from "@preact/signals";
import { Failure, pathOf, request } from "./api.js";
import { language } from "./i18n.js";

/** A file, as `GET /files` lists it. */
export interface StoredFile {
  file_id: string;
  size_bytes: number;
  sha256: string;
  content_type: string;
  original_filename: string;
  /** The path in the folder that was sent; absent for a file that was sent by itself. */
  relative_path?: string;
  created_at: string;
}

export type Order = "newest" | "oldest" | "name" | "folder" | "largest";

/** Entries of one request: the most that the portal lists at once. */
const PAGE = 1_000;

/** Entries that are read before the person asks for more. */
const FIRST = 20_000;

const all = signal<readonly StoredFile[]>([]);

/** The ids of the files that the person has selected. */
const marked = signal<ReadonlySet<string>>(new Set());

/** The selected files that still exist. */
export const selected = computed<readonly StoredFile[]>(() => all.value.filter((file) => marked.value.has(file.file_id)));

export const isSelected = (file: StoredFile): boolean => marked.value.has(file.file_id);

/** Selects files, or takes them out of the selection. */
export function select(files: readonly StoredFile[], on: boolean): void {
  const next = new Set(marked.value);
  for (const { file_id } of files) on ? next.add(file_id) : next.delete(file_id);
  marked.value = next;
}

/** The cursor of the rest; null if all files are listed. */
export const rest = signal<string | null>(null);
export const loading = signal(false);
export const loaded = signal(false);
export const problem = signal("");
export const search = signal("");
export const order = signal<Order>("newest");
export const known = computed(() => all.value.length);

/** The files that the search finds, in order. */
export const found = computed<readonly StoredFile[]>(() => {
  const words = plain(search.value).split(/\s+/).filter(Boolean);
  const matches = (file: StoredFile) => {
    const text = plain(`${pathIn(file)} ${file.original_filename} ${file.content_type} ${file.sha256} ${file.file_id}`);
    return words.every((word) => text.includes(word));
  };
  const files = words.length ? all.value.filter(matches) : [...all.value];
  return files.sort(comparison(order.value));
});

/** Returns the path of a file in its folder, which is its name if it was sent by itself. */
const pathIn = (file: StoredFile): string => file.relative_path ?? file.original_filename;

const plain = (text: string): string => text.normalize("NFKC").toLocaleLowerCase();

function comparison(by: Order): (one: StoredFile, other: StoredFile) => number {
  const names = new Intl.Collator(language.value, { numeric: true });
  switch (by) {
    case "newest":
      return (one, other) => (one.created_at < other.created_at ? 1 : one.created_at > other.created_at ? -1 : 0);
    case "oldest":
      return (one, other) => (one.created_at < other.created_at ? -1 : one.created_at > other.created_at ? 1 : 0);
    case "name":
      return (one, other) => names.compare(one.original_filename, other.original_filename);
    case "folder":
      return (one, other) => names.compare(pathIn(one), pathIn(other));
    case "largest":
      return (one, other) => other.size_bytes - one.size_bytes;
  }
}

let run = 0;

/** Reads the list anew. A later call takes the place of an earlier one. */
export const reload = (): Promise<void> => read(null);

/** Reads the files behind those that are listed. */
export const more = (): Promise<void> => read(rest.value);

async function read(after: string | null): Promise<void> {
  const mine = ++run;
  const files: StoredFile[] = after === null ? [] : [...all.value];
  const most = files.length + FIRST;
  loading.value = true;
  problem.value = "";
  let cursor = after;
  try {
    do {
      const query = new URLSearchParams({ limit: String(PAGE), ...(cursor === null ? {} : { after: cursor }) });
      const page = (await (await request("GET", `files?${query}`)).json()) as { files: StoredFile[]; next: string | null };
      if (mine !== run) return;
      files.push(...page.files);
      cursor = page.next;
    } while (cursor !== null && files.length < most);
    all.value = files;
    rest.value = cursor;
    loaded.value = true;
  } catch (error) {
    if (mine !== run) return;
    const cause = error instanceof Failure ? error : new Failure(502);
    if (cause.status !== 401) problem.value = cause.explain();
  }
  loading.value = false;
}

/** Deletes a file. One that has gone already counts as deleted. */
export async function remove(file: StoredFile): Promise<void> {
  try {
    await request("DELETE", pathOf(file.file_id));
  } catch (error) {
    if (!(error instanceof Failure) || (error.status !== 404 && error.status !== 410)) throw error;
  }
  all.value = all.value.filter((other) => other.file_id !== file.file_id);
}

/** Forgets the list, after a sign-out. */
export function clear(): void {
  run++;
  all.value = [];
  marked.value = new Set();
  rest.value = null;
  loaded.value = loading.value = false;
}
