// Compares a local file with the digest that the server has, one file at a time.
import type { Check, Upload } from "./upload.js";

const address = new URL(WORKER, document.baseURI).href;

/** The only script that this page creates from a string: the worker's own URL (Trusted Types). */
const policy = window.trustedTypes?.createPolicy("portico", {
  createScriptURL: (url) => {
    if (url !== address) throw new TypeError("not the page's worker");
    return url;
  },
});

let last: Promise<void> = Promise.resolve();

/** Compares an upload that is done. Comparisons wait for each other. */
export function verify(upload: Upload): void {
  if (upload.sha256 === null || upload.check.value.is === "running") return;
  upload.check.value = { is: "running", part: 0 };
  last = last.then(async () => {
    upload.check.value = await compare(upload, upload.sha256 ?? "");
  });
}

function compare(upload: Upload, expected: string): Promise<Check> {
  return new Promise((resolve) => {
    const url = (policy?.createScriptURL(address) ?? address) as string;
    const worker = new Worker(url, { type: "module" });
    const end = (check: Check) => {
      worker.terminate();
      resolve(check);
    };
    worker.onerror = () => end({ is: "unreadable" });
    worker.onmessage = ({ data }: MessageEvent<{ part?: number; sha256?: string }>) => {
      if (data.part !== undefined) upload.check.value = { is: "running", part: data.part };
      else if (data.sha256 === undefined) end({ is: "unreadable" });
      else end({ is: data.sha256 === expected ? "equal" : "different" });
    };
    worker.postMessage(upload.file);
  });
}
