// Files from a drop, a paste or a picker, with their paths inside the folders that were chosen.

/** A chosen file. `path` has the folders and the name, with slashes; empty for a file that was chosen by itself. */
export interface Found {
  file: File;
  path: string;
}

/** Files that are reported at once while folders are read. */
const BATCH = 200;

/**
 * Reads what was dropped, folders to their ends. Calls `add` with some files at a time, and returns the paths that could not
 * be read. The entries are taken before the first wait, because the browser empties a drop when its event ends.
 */
export async function fromDrop(data: DataTransfer, add: (found: Found[]) => void): Promise<string[]> {
  const entries: FileSystemEntry[] = [];
  const single: Found[] = [];
  for (const item of data.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry();
    const file = entry?.isDirectory ? null : item.getAsFile();
    if (file) single.push({ file, path: "" });
    else if (entry) entries.push(entry);
  }
  if (single.length) add(single);
  return readFolders(entries, add);
}

async function readFolders(pending: FileSystemEntry[], add: (found: Found[]) => void): Promise<string[]> {
  const unreadable: string[] = [];
  let batch: Found[] = [];
  for (let entry = pending.pop(); entry; entry = pending.pop()) {
    const path = entry.fullPath.replace(/^\/+/, "");
    try {
      if (entry.isDirectory) pending.push(...(await children(entry as FileSystemDirectoryEntry)).reverse());
      else batch.push({ file: await fileOf(entry as FileSystemFileEntry), path });
    } catch {
      unreadable.push(path);
    }
    if (batch.length >= BATCH) {
      add(batch);
      batch = [];
    }
  }
  if (batch.length) add(batch);
  return unreadable;
}

/** Lists a folder. The browser returns some entries at a time, and none at the end. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** Returns the files of a picker, with their paths if a folder was chosen. */
export function fromPicker(files: FileList): Found[] {
  return Array.from(files, (file) => ({ file, path: file.webkitRelativePath }));
}

/** Returns the files of a paste. */
export function fromPaste(data: DataTransfer | null): Found[] {
  return Array.from(data?.files ?? [], (file) => ({ file, path: "" }));
}
