// Where uploads stand, so that they continue after a reload. A record belongs to a fingerprint of the file.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { lasting, refused } from "./storage.js";

/** How far an upload is. `url` is set while it runs, `fileId` once the file exists. */
export interface Record {
  name: string;
  path: string;
  size: number;
  /** Milliseconds since 1970, by the clock of the browser; only the order counts. */
  at: number;
  url?: string;
  fileId?: string;
  sha256?: string;
}

const PREFIX = "portico.upload.";

/** Most records that are kept; the oldest go first. A browser has 5 MiB for all. */
const RECORDS_MAX = 5_000;

/** Bytes at each end of a file that its fingerprint covers. */
const SAMPLE = 64 << 10;

/**
 * Returns a name for the content of a file: its path, size, time and both ends. Two files that differ only in the middle and
 * share all of that are told apart by their digests, not by this.
 *
 * Fails if the browser can no longer read the file.
 */
export async function fingerprint(file: File, path: string): Promise<string> {
  const ends = [file.slice(0, SAMPLE), file.slice(Math.max(SAMPLE, file.size - SAMPLE))];
  const hash = sha256.create();
  hash.update(utf8ToBytes(JSON.stringify([path, file.name, file.type, file.size, file.lastModified])));
  for (const end of ends) hash.update(new Uint8Array(await end.arrayBuffer()));
  return bytesToHex(hash.digest());
}

/** Returns the record of a fingerprint. */
export function find(print: string): Record | null {
  return parse(lasting.get(PREFIX + print));
}

/** Keeps a record. */
export function keep(print: string, record: Record): void {
  const text = JSON.stringify(record);
  if (lasting.set(PREFIX + print, text)) return;
  prune(RECORDS_MAX / 2);
  if (!lasting.set(PREFIX + print, text)) refused.value = true;
}

export function forget(print: string): void {
  lasting.remove(PREFIX + print);
}

/** Returns the name of the lock that the tab holds which sends a file. */
export const lockOf = (print: string): string => `${PREFIX}${print}`;

/** Returns the uploads that have begun, have not ended and are sent by no tab, newest first. */
export async function unfinished(): Promise<[string, Record][]> {
  prune(RECORDS_MAX);
  const held = (await navigator.locks?.query())?.held ?? [];
  const locked = new Set(held.map((lock) => lock.name));
  return all().filter(([print, record]) => record.url && !record.fileId && !locked.has(lockOf(print)));
}

function all(): [string, Record][] {
  const found = lasting.keys(PREFIX).map((key) => [key.slice(PREFIX.length), parse(lasting.get(key))] as const);
  const valid = found.filter((pair): pair is [string, Record] => pair[1] !== null);
  return valid.sort(([, one], [, other]) => other.at - one.at);
}

/** Drops the oldest records beyond `most`. */
function prune(most: number): void {
  for (const [print] of all().slice(most)) forget(print);
}

/** Reads a record. Extensions and people can write to the storage, so each field is checked. */
function parse(text: string | null): Record | null {
  if (text === null) return null;
  try {
    const found = JSON.parse(text) as Partial<Record>;
    const texts = [found.url ?? "", found.fileId ?? "", found.sha256 ?? "", found.name, found.path];
    const valid = texts.every((value) => typeof value === "string") && Number.isSafeInteger(found.size);
    // A token goes with the requests to this URL, so it must be one of this origin.
    const own = found.url === undefined || new URL(found.url, document.baseURI).origin === location.origin;
    return valid && own && typeof found.at === "number" ? (found as Record) : null;
  } catch {
    return null;
  }
}
