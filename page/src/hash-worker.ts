// Hashes a file in a worker. Receives the file; sends `{ part }` while it runs, then `{ sha256 }` or `{ failed: true }`.
// The hash is JavaScript, because WebAssembly would need 'wasm-unsafe-eval' in the policy, and Web Crypto cannot hash streams.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** Milliseconds between two reports. */
const REPORT = 100;

self.onmessage = async ({ data: file }: MessageEvent<File>) => {
  try {
    const hash = sha256.create();
    let done = 0;
    let reported = performance.now();
    const reader = file.stream().getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      hash.update(piece.value);
      done += piece.value.length;
      if (performance.now() - reported > REPORT) {
        reported = performance.now();
        self.postMessage({ part: done / file.size });
      }
    }
    self.postMessage({ sha256: bytesToHex(hash.digest()) });
  } catch {
    self.postMessage({ failed: true });
  }
};
