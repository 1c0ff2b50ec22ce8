// The examples, built by the commands of docs/guests.md and run by the program itself.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { arrived, file } from '../clients/harness/content.js';
import { Program, done, folder, read } from '../clients/harness/process.js';
import { project } from '../clients/harness/settings.js';
import { snippets } from '../clients/harness/snippets.js';
import { address } from './address.js';
import { each, languages } from './languages.js';
import { breakOff, bytes, digestOf, send, upload } from './requests.js';

const long = process.env.PORTICO_TEST_GUESTS === 'long';
const BIG = 256 << 20;
const LIMIT = 300 << 20;
const ADDRESS = 'http://localhost:8080';
const portico = path.resolve(project, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/portico');
/** The commands of the page, and the tools that it wants to be installed. */
const env = {
  PORTICO: project,
  PATH: [path.dirname(portico), process.env.PORTICO_TEST_TOOLS, process.env.PATH].filter(Boolean).join(':'),
  // The toolchain of the project, which has the target of components.
  RUSTUP_TOOLCHAIN: read(path.join(project, 'rust-toolchain.toml')).match(/channel = "(.+)"/)[1],
};
const page = snippets('guests.md');
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

test('the pages name the generator of bindings that is tested', () => {
  const [, version] = read(path.join(project, 'Makefile')).match(/^WIT_BINDGEN_VERSION := (.+)$/m);
  for (const text of ['docs/guests.md', 'examples/go/README.md', 'examples/c/README.md']) {
    const installed = read(path.join(project, text)).replace(/\s+/g, ' ');
    assert.ok(installed.includes(`cargo install wit-bindgen-cli --version ${version} --locked`), text);
  }
});

test('the pages about the SDK have the code of its smallest portal', () => {
  const plain = (text) => text.replace(/\s+/g, ' ');
  const example = plain(read(path.join(project, 'guest/sdk/examples/tiny_portal.rs')));
  for (const [text, count] of [['docs/guests.md', 2], ['guest/sdk/README.md', 1]]) {
    const blocks = [...read(path.join(project, text)).matchAll(/^```rust\n(.*?)^```$/gms)].map(([, block]) => plain(block).trim());
    assert.equal(blocks.length, count, text);
    for (const block of blocks) assert.ok(example.includes(block), `${text}: the example lacks ${block}`);
  }
});

each(async (t, name, { section, path: pathOf, own }) => {
  const [build, start, request] = ['build', 'start', 'request'].map((kind) => commands(section, kind));
  const home = folder(name);
  const began = performance.now();
  const built = process.env.PORTICO_TEST_BUILT;
  if (built) {
    copyFileSync(path.join(built, `${name}.wasm`), path.join(home, 'portal.wasm'));
    await sh('portico wit > portico.wit; cp "$PORTICO"/examples/rust/Cargo.toml .', home);
  } else {
    await sh(build, home);
    const size = statSync(path.join(home, 'portal.wasm')).size;
    t.diagnostic(`${name}: built in ${seconds(began)}, ${(size / 1e6).toFixed(2)} MB`);
  }
  const keep = process.env.PORTICO_TEST_KEEP;
  if (keep) {
    mkdirSync(keep, { recursive: true });
    copyFileSync(path.join(home, 'portal.wasm'), path.join(keep, `${name}.wasm`));
  }

  const server = await serve(home, start);
  t.after(() => server.kill());
  const { url } = server;
  const said = await sh(request.replaceAll(ADDRESS, url), home);
  t.diagnostic(`${name}: ${built ? 'from its start' : 'from an empty folder'} to the answer of the first request in ${seconds(began)}`);
  assert.match(said, name === 'rust' ? /^HTTP\/1\.1 201 / : /package portico:storage@/);

  await t.test('its README has the commands of docs/guests.md', () => {
    const readme = path.join(project, 'examples', name, 'README.md');
    assert.ok(read(readme).includes(build), `${readme} lacks:\n${build}`);
  });
  await files(t, url, pathOf);
  await own?.(t, url);
  if (long) {
    await t.test('moves 256 MiB', async () => {
      const content = file(BIG);
      const target = url + (name === 'rust' ? `/blobs/${content.sha256}` : '/files/big');
      await moved(t, name, target, content);
      await builtIn(t, content);
    });
  }
  await t.test('stops in order, and no guest has trapped', async () => {
    assert.equal(await server.stop(), 0, server.text);
    assert.doesNotMatch(server.text, /\bERROR\b|trapped|Traceback/);
  });
});

/** What all examples do alike. */
async function files(t, url, pathOf) {
  const put = (name, content, headers = {}) => send(url + pathOf(name, content), { method: 'PUT', headers, body: content });

  await t.test('stores and returns a file with its digest', async () => {
    const content = bytes(1_000_003);
    const digest = digestOf(content);
    const target = url + pathOf('first.bin', content);
    const validators = { etag: `"${digest.toString('hex')}"`, 'repr-digest': `sha-256=:${digest.toString('base64')}:` };
    const type = { 'content-type': 'application/x-test' };
    const announced = { 'repr-digest': `sha-512=:AAAA:, ${validators['repr-digest']}` };
    const stored = await put('first.bin', content, { ...type, ...announced });
    assert.equal(stored.status, 201);
    for (const [field, value] of Object.entries({ ...validators, location: new URL(target).pathname })) {
      assert.equal(stored.headers[field], value, field);
    }
    for (const method of ['GET', 'HEAD']) {
      const got = await send(target, { method });
      assert.equal(got.status, 200);
      const described = { ...validators, ...type, 'content-length': '1000003', 'accept-ranges': 'bytes' };
      for (const [field, value] of Object.entries(described)) assert.equal(got.headers[field], value, `${method}: ${field}`);
      assert.deepEqual(got.body, method === 'GET' ? content : Buffer.alloc(0));
    }
    assert.equal((await put('first.bin', content)).status, 200, 'a repeated upload finds its file');
  });

  await t.test('returns ranges', async () => {
    const content = bytes(300_000);
    const target = url + pathOf('ranges', content);
    assert.equal((await put('ranges', content)).status, 201);
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1], ['bytes=5-9', 5, 10], ['bytes=-7', 299_993, 300_000], ['bytes=299999-', 299_999, 300_000],
      ['bytes=100000-999999999', 100_000, 300_000], ['bytes=1-', 1, 300_000],
    ]) {
      const part = await send(target, { headers: { range } });
      assert.equal(part.status, 206, range);
      assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/300000`);
      assert.equal(part.headers['content-length'], String(end - start));
      assert.ok(part.body.equals(content.subarray(start, end)), range);
    }
    for (const headers of [
      { range: 'bytes=5-4' }, { range: 'bytes=0-1,4-5' }, { range: 'lines=1-2' }, { range: 'bytes=-' },
      { range: 'bytes=0-1', 'if-range': '"another"' }, { range: 'bytes=-300000' },
    ]) {
      const whole = await send(target, { headers });
      assert.ok([200, 206].includes(whole.status) && whole.body.equals(content), JSON.stringify(headers));
    }
    for (const range of ['bytes=300000-', 'bytes=400000-500000', 'bytes=-0', 'bytes=99999999999999999-']) {
      const none = await send(target, { headers: { range } });
      assert.deepEqual([none.status, none.headers['content-range']], [416, 'bytes */300000'], range);
    }
    const etag = (await send(target, { method: 'HEAD' })).headers.etag;
    assert.equal((await send(target, { headers: { range: 'bytes=0-1', 'if-range': etag } })).status, 206);
  });

  await t.test('stores content of unknown length, and none at all', async () => {
    const content = bytes(70_000);
    const target = url + pathOf('chunks', content);
    const chunks = [content.subarray(0, 1), content.subarray(1, 4096), content.subarray(4096)];
    assert.equal((await send(target, { method: 'PUT', chunks })).status, 201);
    assert.deepEqual((await send(target)).body, content);
    const nothing = Buffer.alloc(0);
    assert.equal((await put('nothing', nothing)).status, 201);
    const got = await send(url + pathOf('nothing', nothing));
    assert.deepEqual([got.status, got.headers['content-length'], got.body], [200, '0', nothing]);
  });

  await t.test('stores nothing of what is wrong', async () => {
    const content = bytes(50_000);
    const target = url + pathOf('wrong', content);
    const missing = async (why) => assert.equal((await send(target)).status, 404, why);
    await missing('nothing is stored');
    for (const digest of [digestOf(bytes(1)).toString('base64'), '', 'AAAA', '%%%%']) {
      const headers = { 'repr-digest': `sha-256=:${digest}:` };
      assert.ok([400, 422].includes((await put('wrong', content, headers)).status), `digest ${digest}`);
      await missing(`digest ${digest}`);
    }
    await breakOff(target, 100_000);
    await missing('broken off');
    await breakOff(target, 4_000_000);
    await missing('broken off later');
    // Refused by the announced length, so that nothing is sent.
    const announced = await tooLarge(target);
    assert.equal(announced, 413);
    await missing('too large');
    assert.equal((await put('wrong', content)).status, 201, 'the name is still free');
  });

  await t.test('deletes', async () => {
    const content = bytes(10_000);
    const target = url + pathOf('deleted', content);
    assert.equal((await send(target, { method: 'DELETE' })).status, 404);
    assert.equal((await put('deleted', content)).status, 201);
    assert.equal((await send(target, { method: 'DELETE' })).status, 204);
    assert.equal((await send(target)).status, 410);
    assert.equal((await put('deleted', content)).status, 410);
  });

  await t.test('refuses what it does not know', async () => {
    // Each of these would be a trap in a portal that believes its client.
    const target = url + pathOf('unknown', bytes(1));
    assert.equal((await send(target, { method: 'HEAD' })).status, 404);
    const patched = await send(target, { method: 'PATCH', body: bytes(1) });
    assert.equal(patched.status, 405);
    assert.match(patched.headers.allow, /GET/);
    assert.equal((await send(`${url}/elsewhere`)).status, 404);
    assert.equal((await send(`${url}/files/a/b`)).status, 404);
    assert.ok([400, 404].includes((await send(`${url}/files/%00%ff`)).status));
    assert.ok([400, 404].includes((await send(`${url}/files/${'a'.repeat(200)}`)).status));
    const untyped = bytes(76);
    assert.equal((await put('untyped', untyped, { 'content-type': '' })).status, 201);
    assert.equal((await send(url + pathOf('untyped', untyped))).headers['content-type'], 'application/octet-stream');
    const latin = await put('latin', bytes(77), { 'content-type': 'text/\xff' });
    assert.ok([201, 400].includes(latin.status), `${latin.status}`);
  });
}

/** Announces more than the server takes, and sends no byte. */
function tooLarge(target) {
  const headers = { 'content-length': LIMIT + 1, expect: '100-continue' };
  return send(target, { method: 'PUT', headers, chunks: [] }).then(({ status }) => status, (error) => error.code);
}

async function moved(t, name, target, content) {
  let began = performance.now();
  assert.ok([200, 201].includes(await upload(target, content)));
  const put = seconds(began);
  began = performance.now();
  await arrived(target, content);
  t.diagnostic(`${name}: 256 MiB: PUT ${put}, GET ${seconds(began)}`);
}

/** The same through the built-in portal. */
async function builtIn(t, content) {
  const server = await serve(folder('built-in'), 'portico serve --store file:data');
  t.after(() => server.kill());
  const began = performance.now();
  const stored = await upload(`${server.url}/files/big`, content);
  assert.equal(stored, 201);
  const put = seconds(began);
  const { files: [{ file_id: id }] } = await (await fetch(`${server.url}/files`)).json();
  const later = performance.now();
  await arrived(`${server.url}/files/${id}`, content);
  t.diagnostic(`built-in: 256 MiB: PUT ${put}, GET ${seconds(later)}`);
  await server.stop();
}

/** The commands of a kind in a section of the page, or else those for all sections. */
function commands(section, kind) {
  const found = page.find((each) => each.kind === kind && each.section === section)
    ?? page.find((each) => each.kind === kind && !Object.values(languages).some((other) => other.section === each.section));
  assert.ok(found, `docs/guests.md has no ${kind} in ${section}`);
  return found.code;
}

function sh(code, cwd) {
  return done('bash', ['-euo', 'pipefail', '-c', code], { cwd, env });
}

/** Starts the server by the command of the page, at a port of its own. */
async function serve(home, command) {
  const args = command.trim().split(/\s+/);
  assert.equal(args.shift(), 'portico');
  const own = ['--listen', '127.0.0.1:0', '--max-object-size', String(LIMIT), '--log', 'info,access=warn'];
  const program = new Program(portico, [...args, ...own], { cwd: home, env });
  return Object.assign(program, { url: await address(program) });
}
