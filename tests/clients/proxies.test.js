// Portico behind nginx, Caddy and HAProxy, with the settings of docs/proxies.md.

import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { arrived, file, places } from './harness/content.js';
import { Front } from './harness/front.js';
import { done } from './harness/process.js';
import { certificate, proxies, proxy, put } from './harness/proxies.js';
import { serve } from './harness/servers.js';
import { cuts, installed, large, long, portico } from './harness/settings.js';
import { upload } from './harness/tus.js';

const MiB = 1 << 20;
const TUS = { 'Tus-Resumable': '1.0.0' };
const APPEND = { ...TUS, 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': 0 };
/** Larger than the limit of 100 MB in front, by far. */
const beyond = file(long ? 1024 * MiB : 250 * MiB);
const small = file(MiB);
/** More than the buffers of all sockets on the way hold, so that the server has read some of it. */
const half = 32 * MiB;
/** After this a test has failed that waits for bytes. */
const MINUTES = 120_000;

for (const name of Object.keys(proxies)) {
  describe(`behind ${name}`, { concurrency: 1 }, () => {
    test('an upload continues after cuts; its URL is below the prefix', async (t) => {
      const server = await serve(t);
      const { port } = await proxy(t, name, server.front.port);
      const cutting = await Front.start([port]);
      t.after(() => cutting.close());
      const endpoint = `https://127.0.0.1:${cutting.port}/portico/tus/`;
      const content = file(large);
      const at = places(cuts, content.size);
      t.diagnostic(`cuts at ${at}`);
      const cut = (async () => {
        for (const byte of at) await cutting.cutAfter(Math.max(1, byte - cutting.passed));
      })();
      const done = await upload(content, { endpoint });
      await cut;
      assert.ok(done.url.startsWith(endpoint), done.url);
      await arrived(done.url, content);
    });

    test('bytes reach the server before the body has ended', { timeout: MINUTES }, async (t) => {
      const server = await serve(t);
      const { url } = await proxy(t, name, server.front.port);
      for (const chunked of [false, true]) {
        const { target, direct } = await begun(server, url);
        const reached = server.front.after(half / 2);
        const request = patchHalf(target, chunked);
        await reached;
        await keeps(direct);
        request.destroy();
      }
    });

    test('what arrived before the client went away is kept', { timeout: MINUTES }, async (t) => {
      const server = await serve(t);
      const { url } = await proxy(t, name, server.front.port);
      const { target, direct } = await begun(server, url);
      const reached = server.front.after(half / 2);
      const request = patchHalf(target, false);
      await reached;
      request.destroy();
      await keeps(direct);
    });

    test(`a limit of 100 MB lets ${beyond.size / MiB} MiB through in parts`, async (t) => {
      const server = await serve(t, { flags: ['--durability', 'none'] });
      const { url } = await proxy(t, name, server.front.port, proxies[name].limit);

      // Caddy 2.6 breaks the request off, and calls that a failure of the server.
      const refused = name === 'caddy' ? /^(413|502)$/ : /^413$/;
      assert.match(await putWhole(`${url}/files/whole`, beyond), refused);

      const done = await upload(beyond, { endpoint: `${url}/tus`, chunkSize: 95e6 });
      await arrived(done.url, beyond);

      const id = await porticoPut(url, '--part-size', '90MiB', beyond.path);
      await arrived(`${url}/files/${id}`, beyond);
    });

    test('a Location of the protocol of the IETF is absolute where Portico trusts the proxy', async (t) => {
      const server = await serve(t, { flags: ['--trusted-proxies', '127.0.0.1'] });
      const { port } = await proxy(t, name, server.front.port);
      const headers = {
        'Upload-Complete': '?0', Host: 'files.example.org', Forwarded: 'proto=http;host=evil.example',
        'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Prefix': '/evil',
      };
      const response = await ask(`https://127.0.0.1:${port}/portico/resumable`, { method: 'POST', headers });
      assert.equal(response.statusCode, 201);
      assert.match(response.headers.location, /^https:\/\/files\.example\.org\/portico\/resumable\/[^/]+$/);
    });

    if (name !== 'nginx') {
      test('an interim response passes to clients of HTTP/1.1 and HTTP/2', { timeout: MINUTES }, async (t) => {
        const server = await serve(t, { flags: ['--interim-responses', 'true'] });
        const { url } = await proxy(t, name, server.front.port);
        for (const interim of [interim1, interim2]) {
          const { before, after } = await interim(new URL(`${url}/resumable`));
          assert.equal(before.status, 104);
          assert.equal(before.headers['upload-draft-interop-version'], '8');
          assert.equal(after.status, 201);
          // Both name the same upload, and its content is complete.
          assert.equal(before.headers.location, after.headers.location);
          await arrived(new URL(after.headers.location, `${url}/resumable`).href, small);
        }
      });
    }
  });
}

describe('what docs/proxies.md says of a missing line', { concurrency: 1 }, () => {
  /** Settings without a line that must be there. */
  const without = (line) => (settings) => put(settings, line, '');

  test('nginx without proxy_request_buffering off: an upload that is cut begins again at 0', async (t) => {
    const server = await serve(t);
    const { url } = await proxy(t, 'nginx', server.front.port, without('proxy_request_buffering off;'));
    const { target, direct } = await begun(server, url);
    const request = patchHalf(target, false);
    await request.sentHalf;
    request.destroy();
    assert.equal(await offset(direct), 0);
  });

  test('nginx without client_max_body_size: 413 over a megabyte', async (t) => {
    const server = await serve(t);
    const { url } = await proxy(t, 'nginx', server.front.port, without('client_max_body_size 0;'));
    assert.equal(await putWhole(`${url}/files/large`, file(2 * MiB)), '413');
  });

  test('without the removal of the prefix: 404', async (t) => {
    const server = await serve(t);
    for (const [name, from, to] of [
      ['nginx', '8080/;', '8080;'], ['caddy', 'handle_path', 'handle'],
      ['haproxy', 'http-request replace-path /portico/(.*) /\\1', ''],
    ]) {
      const change = (settings) => put(settings, from, to);
      const { url } = await proxy(t, name, server.front.port, (settings) => change(settings));
      assert.equal((await fetch(`${url}/files`)).status, 404, name);
    }
  });

  test('without Host: Portico without tokens answers 421 to a name of others', async (t) => {
    const server = await serve(t);
    for (const [name, line] of [
      ['caddy', 'header_up Host {upstream_hostport}'], ['haproxy', 'http-request set-header Host 127.0.0.1:8080'],
    ]) {
      for (const change of [undefined, without(line)]) {
        const { url } = await proxy(t, name, server.front.port, change);
        const { statusCode } = await ask(`${url}/files`, { headers: { Host: 'files.example.org' } });
        assert.equal(statusCode, change ? 421 : 200, name);
      }
    }
  });
});


/** Creates an upload; returns its URL at the proxy and at the server. */
async function begun(server, url) {
  const headers = { ...TUS, 'Upload-Length': 2 * half };
  const response = await fetch(`${url}/tus`, { method: 'POST', headers });
  assert.equal(response.status, 201);
  const target = new URL(response.headers.get('location'), `${url}/tus`).href;
  return { target, direct: server.tus + target.split('/').at(-1) };
}

/** Sends half of a body and leaves the request open. `sentHalf` resolves when the half is on its way. */
function patchHalf(target, chunked) {
  const headers = { ...APPEND, ...(!chunked && { 'Content-Length': 2 * half }) };
  const request = https.request(target, { method: 'PATCH', headers, agent: false });
  request.on('error', () => {});
  request.sentHalf = new Promise((resolve) => request.write(Buffer.alloc(half, 1), resolve));
  return request;
}

/** The offset of an upload. */
async function offset(url) {
  const response = await fetch(url, { method: 'HEAD', headers: TUS });
  assert.equal(response.status, 200);
  return Number(response.headers.get('upload-offset'));
}

/**
 * Waits until an upload has kept bytes of a request that has not ended or was cut off. A HEAD that comes before the server
 * has begun to store them sees none.
 */
async function keeps(url) {
  while ((await offset(url)) === 0) await pause(20);
}

/** Sends a request without a body, and returns the response. */
function ask(url, options) {
  return new Promise((resolve, reject) => {
    https.request(url, { ...options, agent: false, servername: '' }, (response) => resolve(response.resume())).on('error', reject).end();
  });
}

/** Puts a file in one request; returns the status of the answer. */
function putWhole(url, content) {
  const args = ['-sS', '--http1.1', '--cacert', certificate, '-o', '/dev/null', '-w', '%{http_code}', '-T', content.path, url];
  return done(installed('curl'), args);
}

/** Uploads a file with `portico put`; returns its id. */
async function porticoPut(url, ...args) {
  const said = await done(portico(), ['put', '--server', url, '--ca-file', certificate, '--json', ...args]);
  const events = said.trim().split('\n').map((line) => JSON.parse(line));
  return events.find(({ event }) => event === 'done').receipt.file_id;
}

/** Fields of a creation by the protocol of the IETF. */
const CREATION = { 'upload-draft-interop-version': '8', 'upload-complete': '?1', 'content-length': MiB };

/** Sends a body over HTTP/1.1 after its interim response; returns both responses. */
function interim1(url) {
  return new Promise((resolve, reject) => {
    let before;
    const request = https.request(url, { method: 'POST', headers: CREATION, agent: false }, (response) => {
      resolve({ before, after: { status: response.statusCode, headers: response.resume().headers } });
    });
    request.on('information', ({ statusCode: status, headers }) => {
      before = { status, headers };
      createReadStream(small.path).pipe(request);
    });
    request.on('error', reject).flushHeaders();
  });
}

/** Does the same over HTTP/2. */
function interim2(url) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(url.origin).on('error', reject);
    const request = session.request({ ':method': 'POST', ':path': url.pathname, ...CREATION }, { endStream: false });
    let before;
    request.on('headers', (headers) => {
      before = { status: headers[':status'], headers };
      createReadStream(small.path).pipe(request);
    });
    request.on('response', (headers) => {
      resolve({ before, after: { status: headers[':status'], headers } });
      request.resume().on('close', () => session.close());
    });
    request.on('error', reject);
  });
}
