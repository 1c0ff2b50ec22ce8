// nginx, Caddy and HAProxy with the settings of docs/proxies.md.

import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Program, folder } from './process.js';
import { installed, project } from './settings.js';
import { snippets } from './snippets.js';

/** The certificate of the tests, for 127.0.0.1. */
export const certificate = path.join(project, 'host/s3/tests/errors/loopback.pem');
const key = path.join(project, 'host/s3/tests/errors/loopback-key.pem');

export const proxies = {
  nginx: {
    version: '-v',
    limit: (settings) => put(settings, 'client_max_body_size 0;', 'client_max_body_size 100m;'),
    command(settings, port, home) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((kind) => `${kind}_temp_path ${home}/${kind};`).join(' ');
      const server = put(settings, 'listen 443', `listen 127.0.0.1:${port}`);
      writeFileSync(`${home}/nginx.conf`, `daemon off; master_process off; pid ${home}/pid;
events {}
http { access_log off; ${temporary}
${server}}`);
      return ['nginx', ['-p', home, '-e', `${home}/error`, '-c', `${home}/nginx.conf`]];
    },
  },
  caddy: {
    version: 'version',
    limit: (settings) => put(settings, 'reverse_proxy', `${text('caddy-limit')}\nreverse_proxy`),
    command(settings, port, home) {
      const site = put(settings, 'files.example.org {', `https://127.0.0.1:${port}, https://files.example.org:${port} {\nbind 127.0.0.1`);
      writeFileSync(`${home}/Caddyfile`, `{\nadmin off\nauto_https off\n}\n${site}`);
      return ['caddy', ['run', '--adapter', 'caddyfile', '--config', `${home}/Caddyfile`]];
    },
  },
  haproxy: {
    version: '-v',
    limit: (settings) => put(settings, '    server portico', `    ${text('haproxy-limit')}    server portico`),
    command(settings, port, home) {
      writeFileSync(`${home}/haproxy.cfg`, put(settings, 'bind :443', `bind 127.0.0.1:${port}`));
      return ['haproxy', ['-f', `${home}/haproxy.cfg`]];
    },
  },
};

/**
 * Starts a proxy of this name before a port, with the settings of the documentation, which `change` may change. Returns the
 * address below which it serves Portico.
 */
export async function proxy(t, name, upstream, change = (settings) => settings) {
  const { version, command } = proxies[name];
  installed(name, version);
  const home = folder(name);
  writeFileSync(`${home}/both.pem`, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  const settings = [
    [/127\.0\.0\.1:8080/g, `127.0.0.1:${upstream}`],
    [/\/etc\/ssl\/files\.example\.org\.pem/g, certificate],
    [/\/etc\/ssl\/files\.example\.org-key\.pem/g, key],
    [/\/etc\/haproxy\/files\.example\.org\.pem/g, `${home}/both.pem`],
  ].reduce((settings, [from, to]) => settings.replace(from, to), change(text(name)));
  const port = await freePort();
  const program = new Program(...command(settings, port, home), { cwd: home, env: { HOME: home } });
  t.after(() => program.kill());
  await listens(program, port);
  return { url: `https://127.0.0.1:${port}/portico`, port };
}

/** Replaces a text that must be there once. */
export function put(settings, from, to) {
  const parts = settings.split(from);
  if (parts.length !== 2) throw new Error(`docs/proxies.md has ${parts.length - 1} times ${from}`);
  return parts.join(to);
}

function text(kind) {
  const found = snippets('proxies.md').filter((snippet) => snippet.kind === kind);
  if (found.length !== 1) throw new Error(`docs/proxies.md has ${found.length} blocks of ${kind}`);
  return found[0].code;
}

/** None of the proxies says which port it has, so it is told one that was free a moment ago. */
async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until a program accepts connections, at most two minutes. */
async function listens(program, port) {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
    if (open) return;
    if (program.child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`${program.name} does not listen: ${program.text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
