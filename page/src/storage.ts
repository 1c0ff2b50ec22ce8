// What the browser keeps for the page. A browser may refuse storage or run out of it; both are normal here.
import { signal } from "@preact/signals";

/** Whether the browser refused to keep something, so that an upload cannot continue after a reload. */
export const refused = signal(false);

/** A store of texts by key that never throws. */
export class Keeper {
  readonly #open: () => Storage;

  constructor(open: () => Storage) {
    this.#open = open;
  }

  get(key: string): string | null {
    try {
      return this.#open().getItem(key);
    } catch {
      return null;
    }
  }

  /** Keeps a text, and reports whether that succeeded. */
  set(key: string, value: string): boolean {
    try {
      this.#open().setItem(key, value);
      return true;
    } catch {
      return false;
    }
  }

  remove(key: string): void {
    try {
      this.#open().removeItem(key);
    } catch {
      // Nothing was kept.
    }
  }

  /** Returns the keys that begin with `prefix`. */
  keys(prefix: string): string[] {
    try {
      return Object.keys(this.#open()).filter((key) => key.startsWith(prefix));
    } catch {
      return [];
    }
  }
}

/** Kept until the person clears it: where uploads stand, and the language. */
export const lasting = new Keeper(() => localStorage);

/** Kept for this tab alone: the token. */
export const perTab = new Keeper(() => sessionStorage);
