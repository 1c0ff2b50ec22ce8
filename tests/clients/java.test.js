// tus-java-client, which Android has too, with the code of docs/clients.md. Only in the long form: it needs Java and Maven.

import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { arrived, file, places } from './harness/content.js';
import { done, folder } from './harness/process.js';
import { serve } from './harness/servers.js';
import { built, installed, long, stores, usual } from './harness/settings.js';
import { snippets } from './harness/snippets.js';

const content = file(usual);
const [{ code }] = snippets('clients.md').filter(({ kind }) => kind === 'java');

/** Uploads with the code of the page; returns the upload's URL. */
async function java(server) {
  const home = folder('java');
  const addressed = code.replace('http://localhost:8080/tus', server.tus);
  assert.notEqual(addressed, code);
  writeFileSync(`${home}/Put.java`, addressed);
  copyFileSync(content.path, `${home}/video.mp4`);
  const jar = built('tus_java', '.cache/tus-java/tus-java-client-0.5.1.jar');
  return (await done(installed('java'), ['-cp', jar, 'Put.java'], { cwd: home })).trim().split('\n').at(-1);
}

for (const store of long ? stores : []) {
  describe(`tus-java-client on ${store}`, { concurrency: 1 }, () => {
    test('whole', async (t) => {
      const server = await serve(t, { store });
      await arrived(await java(server), content);
    });

    test('it continues after cuts', async (t) => {
      const server = await serve(t, { store });
      const at = places(3, content.size);
      t.diagnostic(`cuts at ${at}`);
      const cut = (async () => {
        for (const byte of at) await server.front.cutAfter(Math.max(1, byte - server.front.passed));
      })();
      const url = await java(server);
      await cut;
      await arrived(url, content);
    });
  });
}
