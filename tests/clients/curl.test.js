// curl: interrupted PATCHes, which begin again where HEAD says, by both protocols.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { arrived, file } from './harness/content.js';
import { done } from './harness/process.js';
import { serve } from './harness/servers.js';
import { installed, reference, stores, usual } from './harness/settings.js';

const content = file(usual);
/** The exit code of curl after the time of `-m`. */
const TIMED_OUT = 28;

/** Both protocols, as the fields that a client sends. */
const PROTOCOLS = {
  tus: {
    address: (server) => server.tus,
    each: ['Tus-Resumable: 1.0.0'],
    creation: [],
    append: ['Content-Type: application/offset+octet-stream'],
  },
  'resumable uploads of the IETF': {
    address: (server) => server.ietf,
    each: reference ? ['Upload-Draft-Interop-Version: 6'] : [],
    creation: ['Upload-Complete: ?0'],
    append: ['Content-Type: application/partial-upload', 'Upload-Complete: ?1'],
  },
};

for (const store of stores) {
  for (const [protocol, { address, each, creation, append }] of Object.entries(PROTOCOLS)) {
    describe(`curl on ${store}`, { concurrency: 1 }, () => {
      test(`${protocol}: a PATCH that times out, HEAD, and the rest`, async (t) => {
        const server = await serve(t, { store });
        const curl = (fields, ...args) => done(installed('curl'), [
          '-sS', '-f', ...[...each, ...fields].flatMap((field) => ['-H', field]), ...args,
        ]);
        const made = ['-o', '/dev/null', '-w', '%header{location}', '-X', 'POST', address(server)];
        const location = await curl([...creation, `Upload-Length: ${content.size}`], ...made);
        const url = new URL(location, address(server)).href;
        const offset = async () => {
          const head = await curl([], '-I', url);
          return Number(head.match(/^upload-offset: (\d+)/im)[1]);
        };
        const patch = (at, ...args) => {
          // curl reads the rest of the file from a pipe, so it sends chunks without a length.
          const rest = `tail -c +${at + 1} '${content.path}' | curl "$@"`;
          const fields = [...each, ...append, `Upload-Offset: ${at}`].flatMap((field) => ['-H', field]);
          return done('bash', ['-c', rest, 'curl', '-sS', '-f', '-X', 'PATCH', '-T', '-', ...fields, ...args, url]);
        };

        assert.equal(await offset(), 0);
        let at = 0;
        for (let time = 0; time < 2; time++) {
          const interrupted = patch(at, '--limit-rate', '6M', '-m', '1');
          await assert.rejects(interrupted, new RegExp(`ended with ${TIMED_OUT}`));
          const now = await offset();
          assert.ok(now > at, `${now} after ${at}`);
          at = now;
        }
        await patch(at);
        assert.equal(await offset(), content.size);
        await arrived(url, content);
      });
    });
  }
}
