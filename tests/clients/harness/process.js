// Programs that the tests start. Each ends with this process at the latest.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const running = new Set();

/** A folder for this process, which removes it at its end. */
export const scratch = mkdtempSync(path.join(tmpdir(), 'portico-clients-'));

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

let folders = 0;
/** A new folder. */
export function folder(name) {
  return mkdtempSync(path.join(scratch, `${name}-${folders++}-`));
}

/** A program that runs beside the test. Its output goes to a file. */
export class Program {
  constructor(command, args, { env = {}, cwd } = {}) {
    this.name = path.basename(command);
    this.log = path.join(folder(this.name), 'log');
    const { PATH, HOME } = process.env;
    const stdio = ['ignore', 'pipe', 'pipe'];
    this.child = spawn(command, args, { env: { PATH, HOME, ...env }, cwd, stdio });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      running.delete(this.child);
      return code ?? signal;
    });
    running.add(this.child);
    const log = createWriteStream(this.log);
    this.text = '';
    for (const output of [this.child.stdout, this.child.stderr]) {
      output.pipe(log, { end: false });
      output.on('data', (chunk) => { if (this.text.length < 1 << 20) this.text += chunk; });
    }
  }

  /** Waits until the output matches `pattern`, at most two minutes; returns the match. */
  async says(pattern) {
    const deadline = AbortSignal.timeout(120_000);
    for (;;) {
      const match = this.text.match(pattern);
      if (match) return match;
      const [end] = await Promise.race([
        once(this.child.stdout, 'data', { signal: deadline }),
        once(this.child.stderr, 'data', { signal: deadline }),
        this.ended.then((code) => [{ code }]),
      ]);
      if (end.code !== undefined && !this.text.match(pattern)) {
        throw new Error(`${this.name} ended (${end.code}) before it said ${pattern}: ${this.text}`);
      }
    }
  }

  /** Ends the program at once. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Ends the program in order, and returns its exit code. */
  stop() {
    this.child.kill('SIGTERM');
    return this.ended;
  }
}

/** Runs a program to its end; returns its standard output, or throws with everything that the program said. */
export async function done(command, args, { env = {}, cwd } = {}) {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, { env: { PATH, HOME, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const [out, err] = [child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray());
  const [code, signal] = await once(child, 'close');
  running.delete(child);
  const [said, complaint] = (await Promise.all([out, err])).map((chunks) => chunks.join(''));
  if (code !== 0) {
    throw new Error(`${path.basename(command)} ${args.join(' ')} ended with ${code ?? signal}: ${complaint}${said}`);
  }
  return said;
}

export const read = (file) => readFileSync(file, 'utf8');
