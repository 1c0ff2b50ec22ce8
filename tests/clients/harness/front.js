// A TCP relay between a client and its servers.

import net from 'node:net';

/**
 * Hands each connection to the next of its targets, and to the one after that if nothing listens there. Counts the bytes
 * on their way to the servers, and cuts all connections where a test wants it.
 */
export class Front {
  /** Ports of the servers. May change at any time; connections wait while there is none. */
  targets;
  /** Bytes that have passed to the servers. */
  passed = 0;
  #turn = 0;
  #open = new Set();
  #waiting = [];
  #cutAt = Infinity;

  static async start(targets) {
    const front = new Front();
    front.targets = targets;
    front.server = net.createServer({ pauseOnConnect: true }, (client) => front.#accept(client));
    await new Promise((resolve) => front.server.listen(0, '127.0.0.1', resolve));
    front.port = front.server.address().port;
    return front;
  }

  /** Resolves when `count` more bytes have passed to the servers. */
  after(count) {
    const at = this.passed + count;
    return new Promise((resolve) => this.#waiting.push({ at, resolve }));
  }

  /** Cuts all connections when exactly `count` more bytes have passed; resolves then. */
  cutAfter(count) {
    this.#cutAt = this.passed + count;
    return this.after(count);
  }

  close() {
    this.server.close();
    this.#cut();
  }

  #cut() {
    this.#cutAt = Infinity;
    for (const socket of this.#open) socket.destroy();
  }

  #accept(client) {
    this.#open.add(client);
    client.on('close', () => this.#open.delete(client));
    client.on('error', () => {});
    this.#connect(client, this.targets.length);
  }

  #connect(client, tries) {
    if (this.targets.length === 0 && !client.destroyed) return setTimeout(() => this.#connect(client, 1), 20);
    if (tries === 0 || client.destroyed) return client.destroy();
    let connected = false;
    const server = net.connect(this.targets[this.#turn++ % this.targets.length], '127.0.0.1');
    server.on('error', () => { if (!connected) this.#connect(client, tries - 1); });
    server.on('connect', () => {
      connected = true;
      this.#open.add(server);
      client.on('data', (chunk) => this.#pass(chunk, client, server));
      client.on('end', () => server.end());
      client.on('close', () => server.destroy());
      server.on('drain', () => client.resume());
      server.on('close', () => { this.#open.delete(server); client.destroySoon(); });
      server.pipe(client);
      client.resume();
    });
  }

  #pass(chunk, client, server) {
    const rest = this.#cutAt - this.passed;
    const piece = chunk.length < rest ? chunk : chunk.subarray(0, rest);
    this.passed += piece.length;
    const flushed = server.write(piece, () => { if (this.passed === this.#cutAt) this.#cut(); });
    if (!flushed || this.passed === this.#cutAt) client.pause();
    this.#waiting = this.#waiting.filter(({ at, resolve }) => at > this.passed || void resolve());
  }
}
