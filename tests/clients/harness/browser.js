// Pages in Chromium. They have another origin than the server.

import { build } from 'esbuild';
import http from 'node:http';
import { chromium } from 'playwright-core';
import { serve } from './servers.js';
import { installed, reference } from './settings.js';

/** Chromium looks nothing up by itself. */
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/**
 * A server that takes uploads from a page, and a function that opens a page with a script of its own, which may import
 * packages.
 */
export async function browse(t, options) {
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: FLAGS });
  t.after(() => browser.close());
  let script = '';
  const site = http.createServer((request, response) => {
    const isScript = request.url === '/script.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(isScript ? script : '<input type="file" multiple><script type="module" src="script.js"></script>');
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  t.after(() => site.close());
  const origin = `http://127.0.0.1:${site.address().port}`;
  const server = await serve(t, { ...options, flags: reference ? [] : ['--cors-origins', origin] });
  async function open(contents) {
    const stdin = { contents, resolveDir: import.meta.dirname };
    const bundle = await build({ stdin, bundle: true, format: 'esm', write: false, define: { global: 'globalThis' } });
    script = bundle.outputFiles[0].text;
    const page = await browser.newPage();
    page.said = [];
    page.on('console', (message) => page.said.push(message.text()));
    page.on('pageerror', (error) => page.said.push(error.stack));
    await page.goto(origin);
    return page;
  }
  return { server, open };
}

/** The program itself; a wrapper of it is a script. */
async function chromiumPath() {
  installed('chromium');
  return '/usr/bin/chromium';
}
