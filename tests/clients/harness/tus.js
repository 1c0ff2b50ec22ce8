// Uploads with tus-js-client, watched.

import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { Upload } from 'tus-js-client';

/** Delays that outlast a restart of the server. */
export const patient = Array(200).fill(100);

/**
 * Uploads a file and waits until tus-js-client calls it done. Returns the `Upload`, with the answers that it got as
 * `answers`. No offset may be lower than one before, and a started upload must not be given up for a new one.
 */
export async function upload(file, options) {
  const answers = [];
  const upload = await new Promise((resolve, reject) => {
    const upload = new Upload(createReadStream(file.path), { ...watch(answers), ...options, onError: reject, onSuccess });
    function onSuccess() {
      resolve(upload);
    }
    upload.start();
  });
  check(answers, options.parallelUploads ?? 1);
  return Object.assign(upload, { answers });
}

/** Options that note each answer. */
export function watch(answers) {
  return {
    retryDelays: patient,
    onAfterResponse(request, response) {
      const method = request.getHeader('X-HTTP-Method-Override') ?? request.getMethod();
      const offset = response.getHeader('Upload-Offset');
      answers.push({
        method,
        url: request.getURL(),
        status: response.getStatus(),
        offset: offset === undefined ? undefined : Number(offset),
      });
    },
  };
}

/** Checks that offsets never went down, and that nothing was begun a second time. */
export function check(answers, parallel = 1) {
  const reached = new Map();
  for (const { method, url, status, offset } of answers) {
    if (method === 'POST' || offset === undefined || status >= 300) continue;
    const before = reached.get(url) ?? 0;
    assert.ok(offset >= before, `${method} ${url}: ${offset} after ${before}`);
    reached.set(url, offset);
  }
  const begun = answers.filter(({ method, status }) => method === 'POST' && status < 300).length;
  assert.equal(begun, parallel === 1 ? 1 : parallel + 1, `uploads were begun anew: ${JSON.stringify(answers)}`);
}
