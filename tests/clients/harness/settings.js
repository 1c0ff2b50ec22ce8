// Settings of the tests: their sizes, and the paths of programs.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const MiB = 1 << 20;

/** The long form, of `make test-clients`; the short one takes about a minute. */
export const long = process.env.PORTICO_TEST_CLIENTS === 'long';

/** Bytes of a usual upload; the long form has the size of tus-js-client's own end-to-end tests. */
export const usual = (long ? 50 : 15) * MiB;
/** Bytes of a chunk of it. */
export const chunk = usual * 2 / 5;
/** Bytes of the large uploads. */
export const large = long ? 1024 * MiB : 16 * MiB + 7;
/** Number of kills of the server. */
export const kills = long ? 50 : 3;
/** Number of cuts of a connection. */
export const cuts = long ? 20 : 3;

/** The backends of each test: a local folder, and a bucket of MinIO. */
export const stores = ['local', 's3'];

/** The folder of the whole project. */
export const project = path.resolve(import.meta.dirname, '../../..');

/** Whether the tests run on tusd, the reference server. A failure there is a fault of the test. */
export const reference = process.env.PORTICO_TEST_SERVER === 'tusd';

/** Returns the path of a program that `make` builds; `PORTICO_TEST_NAME` overrides the path. */
export function built(program, ...names) {
  const file = process.env[`PORTICO_TEST_${program.toUpperCase()}`] ?? path.join(project, ...names);
  const target = program === 'tusd' ? 'bench' : 'test-clients';
  if (!existsSync(file)) throw new Error(`${program} is missing (${file}); \`make ${target}\` builds it`);
  return file;
}

/** Returns the path of Portico. */
export function portico() {
  return built('portico', process.env.CARGO_TARGET_DIR ?? 'target', 'debug/portico');
}

/** Checks that a program is installed, and returns its name, which is its package in Debian too. */
export function installed(name, version = '--version') {
  try {
    execFileSync(name, [version], { stdio: 'ignore' });
  } catch {
    throw new Error(`${name} is missing; on Debian and Ubuntu: apt-get install ${name}`);
  }
  return name;
}
