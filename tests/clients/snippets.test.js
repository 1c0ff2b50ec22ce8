// The code of docs/clients.md, each piece as it stands there.

import assert from 'node:assert/strict';
import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { browse } from './harness/browser.js';
import { arrived, file } from './harness/content.js';
import { done, folder } from './harness/process.js';
import { serve } from './harness/servers.js';
import { built, installed, portico, reference } from './harness/settings.js';
import { snippets } from './harness/snippets.js';

const content = file(6 << 20);
const ADDRESS = 'http://localhost:8080';
/** The code for Java has tests of its own. */
const all = snippets('clients.md').filter(({ kind, code }) => kind !== 'java' && (!reference || code.includes('/tus')));
assert.ok(all.length >= (reference ? 5 : 9), `docs/clients.md has ${all.length} pieces of code to test`);

for (const [index, { section, kind, code }] of all.entries()) {
  test(`${section}, the code ${index + 1} of docs/clients.md uploads a file`, async (t) => {
    assert.ok(code.includes(ADDRESS), code);
    const home = folder('snippet');
    copyFileSync(content.path, path.join(home, 'video.mp4'));
    symlinkSync(path.join(import.meta.dirname, 'node_modules'), path.join(home, 'node_modules'));
    const server = kind === 'browser' ? await inPage(t, home, code) : await serve(t);
    if (kind !== 'browser') {
      const said = await RUN[kind](home, code.replaceAll(ADDRESS, server.url));
      if (reference) return arrived(said.trim(), content);
    }
    if (reference) return;
    const { files } = await (await fetch(`${server.url}/files`)).json();
    assert.deepEqual(files.map((each) => each.original_filename), ['video.mp4']);
    await arrived(`${server.url}/files/${files[0].file_id}`, content);
  });
}

/** Runs a piece of each kind; returns its output. */
const RUN = {
  node(home, code) {
    writeFileSync(path.join(home, 'snippet.mjs'), code);
    return done(process.execPath, ['snippet.mjs'], { cwd: home });
  },
  python(home, code) {
    return done(built('python', '.cache/tuspy-1.1.0/bin/python'), ['-c', code], { cwd: home });
  },
  sh(home, code) {
    installed('curl');
    symlinkSync(portico(), path.join(home, 'portico'));
    const PATH = `${home}:${process.env.PATH}`;
    return done('bash', ['-euo', 'pipefail', '-c', code], { cwd: home, env: { PATH } });
  },
};

/** Runs a piece in a page, and chooses the file there. */
async function inPage(t, home, code) {
  const { server, open } = await browse(t);
  const page = await open(code.replaceAll(ADDRESS, server.url));
  await page.setInputFiles('input', path.join(home, 'video.mp4'));
  const deadline = Date.now() + 30_000;
  while (!page.said.some((text) => text.includes(server.url))) {
    assert.ok(Date.now() < deadline, `the page has said ${page.said}`);
    await page.waitForTimeout(50);
  }
  const [url] = page.said.find((text) => text.includes(server.url)).match(/http:[^\s\]]+/);
  await arrived(url, content);
  return server;
}
