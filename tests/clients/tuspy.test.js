// tuspy, the Python client of tus, with checksums.

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { arrived, file, places } from './harness/content.js';
import { done, folder } from './harness/process.js';
import { serve } from './harness/servers.js';
import { built, cuts, reference, stores, usual } from './harness/settings.js';

const MiB = 1 << 20;
const content = file(usual);

/** Uploads with these arguments, and returns the upload's URL. */
async function tuspy(server, ...args) {
  const python = built('python', '.cache/tuspy-1.1.0/bin/python');
  const script = path.join(import.meta.dirname, 'tuspy_upload.py');
  return (await done(python, [script, server.tus, content.path, ...args])).trim();
}

for (const store of stores) {
  describe(`tuspy on ${store}`, { concurrency: 1 }, () => {
    test('chunks of several sizes, each with its checksum', async (t) => {
      const server = await serve(t, { store });
      for (const chunk of [MiB, 5_000_003, content.size]) {
        const url = await tuspy(server, '--checksum', '--chunk', chunk);
        const response = await arrived(url, content);
        if (!reference) assert.equal(response.headers.get('content-type'), 'application/x-test');
      }
      await arrived(await tuspy(server, '--asyncio', '--checksum', '--chunk', 3 * MiB), content);
      await arrived(await tuspy(server), content);
    });

    test('a chunk with a wrong checksum changes nothing', { skip: reference && 'tusd has no checksums' }, async (t) => {
      const server = await serve(t, { store });
      await arrived(await tuspy(server, '--checksum', '--chunk', 3 * MiB, '--wrong-at', 6 * MiB), content);
    });

    test('another process goes on', async (t) => {
      const server = await serve(t, { store });
      const urls = path.join(folder('urls'), 'urls.json');
      const args = ['--urls', urls, '--checksum', '--chunk', 2 * MiB];
      const first = await tuspy(server, ...args, '--stop-at', 8 * MiB);
      const head = await fetch(first, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
      assert.equal(head.headers.get('upload-offset'), String(8 * MiB));
      const second = await tuspy(server, ...args);
      assert.equal(second, first);
      await arrived(second, content);
    });

    test('it tries again after a cut', async (t) => {
      const server = await serve(t, { store });
      for (const checksum of [['--checksum'], []]) {
        const [at] = places(1, content.size / 2);
        t.diagnostic(`cut at ${at}`);
        // The first MiB has passed by then, because tuspy does not try a creation again.
        const cut = server.front.after(MiB).then(() => server.front.cutAfter(at));
        const url = await tuspy(server, ...checksum, '--chunk', 4 * MiB, '--retries', cuts + 3);
        await cut;
        await arrived(url, content);
      }
    });
  });
}
