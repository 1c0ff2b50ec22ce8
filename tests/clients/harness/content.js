// Files for uploads, and their comparison with downloads.

import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes, randomInt } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { folder } from './process.js';

const files = new Map();

/** Returns a file of `size` random bytes, with its SHA-256; always the same one for a size. */
export function file(size) {
  if (!files.has(size)) files.set(size, make(size));
  return files.get(size);
}

function make(size) {
  const name = path.join(folder('content'), `${size}.bin`);
  const random = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const hash = createHash('sha256');
  const block = Buffer.alloc(1 << 20);
  const target = openSync(name, 'wx');
  for (let rest = size; rest > 0; rest -= block.length) {
    const bytes = random.update(block.subarray(0, Math.min(rest, block.length)));
    hash.update(bytes);
    writeSync(target, bytes);
  }
  closeSync(target);
  return { path: name, size, sha256: hash.digest('hex') };
}

/** Compares the answer of a plain GET with a file. */
export async function arrived(url, { size, sha256 }) {
  const response = await fetch(url);
  if (response.status !== 200) assert.fail(`GET ${url}: ${response.status} ${await response.text()}`);
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of response.body) {
    hash.update(chunk);
    length += chunk.length;
  }
  assert.deepEqual({ length, sha256: hash.digest('hex') }, { length: size, sha256 }, `GET ${url}`);
  return response;
}

/** Returns ordered random offsets below `size`, for cuts of connections and kills of servers. */
export function places(count, size) {
  return Array.from({ length: count }, () => randomInt(1, size)).sort((a, b) => a - b);
}
