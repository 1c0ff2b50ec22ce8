// The languages of the examples, and what differs between their portals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PNG, bytes, digestOf, send } from './requests.js';

const ELF = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), bytes(9000)]);

/** The path of a file; `own` tests what the example is for. */
const byName = (name) => `/files/${encodeURIComponent(name)}`;

export const languages = {
  python: { section: 'Python', path: byName, own: filter },
  js: { section: 'JavaScript', path: byName, own: index },
  go: { section: 'Go', path: byName },
  c: { section: 'C', path: byName },
  rust: { section: 'Rust', path: (_, content) => `/blobs/${digestOf(content).toString('hex')}`, own: addressed },
};

/** Files that are refused by their first bytes leave nothing, whatever their length. */
async function filter(t, url) {
  await t.test('refuses programs', async () => {
    for (const [name, content] of [
      ['report.txt', ELF], ['large.bin', Buffer.concat([ELF, bytes(3 << 20)])], ['setup.exe', Buffer.from('MZ')],
      ['run', Buffer.from('#!/bin/sh\n')], ['app.wasm', Buffer.from('\0asm\x01\0\0\0', 'latin1')],
    ]) {
      const refused = await send(url + byName(name), { method: 'PUT', body: content });
      assert.deepEqual([refused.status, refused.text], [415, 'programs are refused'], name);
      assert.equal((await send(url + byName(name))).status, 404, name);
    }
  });
  await t.test('refuses files that are not what their names say', async () => {
    const refused = await send(`${url}/files/holiday.png`, { method: 'PUT', body: bytes(5000) });
    assert.deepEqual([refused.status, refused.text], [415, 'the content is no png']);
    assert.equal((await send(`${url}/files/holiday.png`)).status, 404);
    assert.equal((await send(`${url}/files/empty.png`, { method: 'PUT', body: Buffer.alloc(0) })).status, 415);
    assert.equal((await send(`${url}/files/holiday.png`, { method: 'PUT', body: PNG })).status, 201);
    assert.deepEqual((await send(`${url}/files/holiday.png`)).body, PNG);
  });
  await t.test('keeps files of any length around the bytes that it looks at', async () => {
    for (const length of [1, 4095, 4096, 4097, 8192]) {
      const content = bytes(length, 'a');
      assert.equal((await send(`${url}/files/length-${length}`, { method: 'PUT', body: content })).status, 201);
      assert.deepEqual((await send(`${url}/files/length-${length}`)).body, content);
    }
  });
}

/** The index lists all files, by pages. */
async function index(t, url) {
  await t.test('lists the files on pages', async () => {
    const names = Array.from({ length: 103 }, (_, number) => `listed-${String(number).padStart(3, '0')}`);
    for (const name of names) {
      assert.equal((await send(url + byName(name), { method: 'PUT', body: Buffer.from(name) })).status, 201);
    }
    const found = [];
    for (let next = '/'; next;) {
      const page = await send(url + next);
      assert.equal(page.status, 200);
      assert.match(page.headers['content-type'], /^text\/html/);
      found.push(...[...page.text.matchAll(/<a href="files\/([^"]+)">/g)].map(([, name]) => name));
      const more = page.text.match(/<a href="(\?after=[^"]+)">more/)?.[1];
      next = more && `/${more}`;
    }
    assert.deepEqual(found.filter((name) => name.startsWith('listed-')), names);
    assert.equal((await send(`${url}/`, { method: 'POST', body: Buffer.alloc(1) })).status, 405);
    assert.equal((await send(`${url}/?after=%ff`)).status, 400);
  });
}

/** Content has one name, and is there once. */
async function addressed(t, url) {
  await t.test('names a file by its digest', async () => {
    const content = bytes(200_000);
    const name = `/blobs/${digestOf(content).toString('hex')}`;
    const posts = await Promise.all([1, 2, 3].map(() => send(`${url}/blobs`, { method: 'POST', body: content })));
    assert.deepEqual(posts.map(({ headers }) => headers.location), [name, name, name]);
    assert.deepEqual(posts.map(({ status }) => status).sort(), [200, 200, 201]);
    assert.deepEqual((await send(url + name)).body, content);
    assert.equal((await send(url + name, { method: 'PUT', body: content })).status, 200);
  });
  await t.test('refuses content under the name of other content', async () => {
    const name = `/blobs/${digestOf(bytes(10)).toString('hex')}`;
    assert.equal((await send(url + name, { method: 'PUT', body: bytes(10) })).status, 422);
    assert.equal((await send(url + name)).status, 404);
    assert.equal((await send(`${url}/blobs/no-digest`, { method: 'PUT', body: bytes(10) })).status, 404);
    assert.equal((await send(`${url}/blobs`)).status, 405);
  });
}

/** Defines the tests of a language if it is chosen. */
export function each(define) {
  const chosen = (process.env.PORTICO_TEST_LANGUAGES ?? '').split(' ').filter(Boolean);
  for (const name of chosen) assert.ok(languages[name], `there is no example ${name}`);
  for (const [name, language] of Object.entries(languages)) {
    if (chosen.length === 0 || chosen.includes(name)) test(name, (t) => define(t, name, language));
  }
}
