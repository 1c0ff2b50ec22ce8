// Uppy, and tus-js-client's own end-to-end tests, in Chromium from another origin.

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { browse } from './harness/browser.js';
import { arrived, file, places } from './harness/content.js';
import { read } from './harness/process.js';
import { chunk, cuts, stores, usual } from './harness/settings.js';

const content = file(usual);
const small = file(1 << 20);

/** A page that uploads the chosen files with the options of the test. */
const UPPY = `
import Uppy from '@uppy/core';
import Tus from '@uppy/tus';
window.start = (options, amid = () => {}) => new Promise((resolve) => {
  const uppy = window.uppy = new Uppy({ autoProceed: false });
  uppy.use(Tus, options);
  uppy.on('upload-progress', (file, progress) => amid(uppy, file, progress));
  uppy.on('complete', ({ successful, failed }) => resolve({
    successful: successful.map(({ name, uploadURL }) => ({ name, uploadURL })),
    failed: failed.map(({ name, error }) => ({ name, error })),
  }));
  for (const data of document.querySelector('input').files) uppy.addFile({ name: data.name, type: data.type, data });
  uppy.upload();
});`;

for (const store of stores) {
  describe(`in Chromium, on ${store}`, { concurrency: 1 }, () => {
    test("tus-js-client's own end-to-end tests", async (t) => {
      const { server, open } = await browse(t, { store });
      const modules = path.join(import.meta.dirname, 'node_modules');
      const page = await open('');
      await page.addScriptTag({ path: path.join(modules, 'jasmine-core/lib/jasmine-core/jasmine.js') });
      await page.evaluate(() => {
        const jasmine = (window.jasmine = jasmineRequire.core(jasmineRequire));
        Object.assign(window, jasmineRequire.interface(jasmine, jasmine.getEnv()));
      });
      const bundle = read(path.join(modules, 'tus-js-client/dist/browser-test-bundle.js'));
      const theirs = /https:(\\?\/){2}tusd(\\?)\.tusdemo\2\.net(\\?\/)files(\\?\/)/g;
      assert.equal(bundle.match(theirs).length, 4);
      const ours = server.tus.slice(0, -1); // the text may be that of a regular expression
      await page.addScriptTag({
        content: bundle.replace(theirs, (text) => (text.includes('\\') ? ours.replaceAll('/', '\\/') + '\\/' : `${ours}/`)),
      });
      const results = await page.evaluate(async () => {
        const results = [];
        const env = jasmine.getEnv();
        env.configure({ specFilter: (spec) => spec.getFullName().includes('end-to-end') });
        env.addReporter({ specDone: (spec) => { if (spec.status !== 'excluded') results.push(spec); } });
        await env.execute();
        return results.map(({ fullName, status, failedExpectations }) => ({ fullName, status, failedExpectations }));
      });
      assert.equal(results.length, 2, JSON.stringify(results));
      for (const { fullName, status, failedExpectations } of results) {
        assert.equal(status, 'passed', `${fullName}: ${JSON.stringify(failedExpectations)}`);
      }
    });

    test('Uppy uploads several files at once, with and without a slash at the end of the address', async (t) => {
      const { server, open } = await browse(t, { store });
      for (const endpoint of [server.tus, server.tus.slice(0, -1)]) {
        const page = await open(UPPY);
        const chosen = [content, small, file(3)];
        await page.setInputFiles('input', chosen.map(({ path }) => path));
        const { successful, failed } = await page.evaluate((options) => start(options), { endpoint });
        assert.deepEqual(failed, [], `${page.said}`);
        assert.equal(successful.length, chosen.length);
        for (const { name, uploadURL } of successful) {
          await arrived(uploadURL, chosen.find((file) => path.basename(file.path) === name));
        }
      }
    });

    test('Uppy continues after its connection is cut', async (t) => {
      const { server, open } = await browse(t, { store });
      for (const chunkSize of [null, chunk]) {
        const page = await open(UPPY);
        await page.setInputFiles('input', content.path);
        const before = server.front.passed;
        const at = places(cuts, content.size);
        t.diagnostic(`cuts at ${at}`);
        const options = { endpoint: server.tus, retryDelays: Array(50).fill(100), ...(chunkSize && { chunkSize }) };
        const uploading = page.evaluate((options) => start(options), options);
        for (const byte of at) await server.front.cutAfter(Math.max(1, before + byte - server.front.passed));
        const { successful, failed } = await uploading;
        assert.deepEqual(failed, [], `${page.said}`);
        await arrived(successful[0].uploadURL, content);
      }
    });

    test('Uppy pauses, continues, and deletes what is cancelled', async (t) => {
      const { server, open } = await browse(t, { store });
      const page = await open(UPPY);
      await page.setInputFiles('input', content.path);
      const options = { endpoint: server.tus, chunkSize: 1 << 20 };
      const { successful } = await page.evaluate((options) => start(options, (uppy, file, { bytesUploaded }) => {
        if (bytesUploaded === 0 || window.paused) return;
        window.paused = true;
        uppy.pauseResume(file.id);
        setTimeout(() => uppy.pauseResume(file.id), 100);
      }), options);
      await arrived(successful[0].uploadURL, content);

      const other = await open(UPPY);
      await other.setInputFiles('input', content.path);
      const [deleted] = await Promise.all([
        other.waitForResponse((response) => response.request().method() === 'DELETE'),
        other.evaluate((options) => {
          void start(options, (uppy, _file, { bytesUploaded }) => { if (bytesUploaded > 0) uppy.cancelAll(); });
        }, options),
      ]);
      assert.equal(deleted.status(), 204);
      assert.equal((await fetch(deleted.url())).status, 404);
    });
  });
}
