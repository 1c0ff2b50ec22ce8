/** The languages by their tag, from the build: their own name, and the URL of their texts; null for English. */
declare const LANGUAGES: Record<string, { name: string; url: string | null }>;

/** The URL of the worker that hashes files, relative to the page. */
declare const WORKER: string;

interface Window {
  /** Trusted Types, where the browser has them. */
  trustedTypes?: {
    createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
  };

  /** Asks the person for a file to write to, where the browser can. */
  showSaveFilePicker?(options: { suggestedName: string }): Promise<{ createWritable(): Promise<WritableStream> }>;
}
