// The servers under test. Each has a folder or bucket of its own, and ports that the system chose.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Front } from './front.js';
import { Program, done, folder, read } from './process.js';
import { built, installed, portico, reference } from './settings.js';

/**
 * Starts servers on a new store, and a front before them. They end with the test, which fails if one of them logged an
 * error or did not stop in order.
 */
export async function serve(t, { store = 'local', runners = 1, flags = [] } = {}) {
  const storage = await newStore(store);
  const servers = [];
  const server = {
    /** Starts one more server on the store. */
    async start() {
      const program = await start(storage, flags);
      servers.push(program);
      return program;
    },
    servers,
  };
  for (let runner = 0; runner < runners; runner++) await server.start();
  server.front = await Front.start(servers.map((program) => program.port));
  server.url = `http://127.0.0.1:${server.front.port}`;
  server.tus = `${server.url}/tus/`;
  server.ietf = reference ? server.tus : `${server.url}/resumable/`;
  t.after(async () => {
    server.front.close();
    for (const program of servers) await finish(program);
  });
  return server;
}

async function start(storage, flags) {
  const program = reference
    ? new Program(built('tusd', '.cache/tusd-v2.9.1/tusd'), [
        '-host', '127.0.0.1', '-port', '0', '-base-path', '/tus/', '-enable-experimental-protocol', ...storage.tusd,
      ], { env: storage.env, cwd: folder('tusd') })
    : new Program(portico(), [
        'serve', '--listen', '127.0.0.1:0', '--log', 'warn', ...storage.portico, ...flags,
      ], { env: storage.env });
  const [, port] = await program.says(/(?:listening on|files to:) http:\/\/127\.0\.0\.1:(\d+)/);
  program.port = Number(port);
  return program;
}

async function finish(program) {
  if (program.child.signalCode === 'SIGKILL') return;
  const code = await program.stop();
  if (reference) return;
  const log = read(program.log);
  assert.equal(code, 0, `Portico did not stop in order: ${log}`);
  assert.doesNotMatch(log, /\bERROR\b/, 'Portico logged an error');
}

async function newStore(store) {
  if (store === 'local') {
    const data = folder('store');
    return { portico: ['--store', `file:${data}`], tusd: ['-upload-dir', data], env: {} };
  }
  const minio = await (shared ??= startMinio());
  const bucket = `test-${randomBytes(6).toString('hex')}`;
  await done(installed('curl'), [
    '-sSf', '--retry', '10', '-X', 'PUT', '--aws-sigv4', `aws:amz:${REGION}:s3`, '--user', `${ACCESS}:${minio.secret}`,
    `${minio.url}/${bucket}`,
  ]);
  return {
    portico: ['--store', `s3://${bucket}`, '--s3-endpoint', minio.url, '--s3-region', REGION],
    tusd: ['-s3-bucket', bucket, '-s3-endpoint', minio.url],
    env: { AWS_ACCESS_KEY_ID: ACCESS, AWS_SECRET_ACCESS_KEY: minio.secret, AWS_REGION: REGION },
  };
}

const REGION = 'us-east-1';
const ACCESS = 'portico-access';
let shared;

/** The one MinIO of this process. */
async function startMinio() {
  const secret = randomBytes(16).toString('hex');
  const data = folder('minio');
  const minio = new Program(built('minio', '.cache/minio/minio'), [
    'server', data, '--address', '127.0.0.1:0', '--console-address', '127.0.0.1:0',
  ], {
    env: { MINIO_ROOT_USER: ACCESS, MINIO_ROOT_PASSWORD: secret, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off', HOME: data },
  });
  const [, url] = await minio.says(/API:\s+(http:\/\/127\.0\.0\.1:\d+)/);
  minio.child.unref();
  minio.child.stdout.unref();
  minio.child.stderr.unref();
  return { url, secret };
}
