// Requests whose heads and bodies a test decides in full.

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { pipeline } from 'node:stream/promises';

/** Random bytes; of one letter if it is given. */
export const bytes = (length, letter) => (letter ? Buffer.alloc(length, letter) : randomBytes(length));

export const digestOf = (content) => createHash('sha256').update(content).digest();

export const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), bytes(20_000)]);

/** Sends a request and reads the answer. A body of `chunks` has no announced length. */
export function send(url, { method = 'GET', headers = {}, body, chunks } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, async (response) => {
      try {
        const content = Buffer.concat(await response.toArray());
        resolve({ status: response.statusCode, headers: response.headers, body: content, text: content.toString().trim() });
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject);
    if (chunks) {
      for (const chunk of chunks) request.write(chunk);
      request.end();
    } else {
      if (body) request.setHeader('content-length', body.length);
      request.end(body);
    }
  });
}

/** Uploads a file, and returns the status. */
export async function upload(url, { path, size }) {
  const request = http.request(url, { method: 'PUT', headers: { 'content-length': size }, agent: false });
  // The pipeline ends with the exchange, so the answer has to be read meanwhile.
  const answered = new Promise((resolve, reject) => {
    request.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), request);
  return answered;
}

/** Sends half a body, ends the connection, and returns when the server has noticed. */
export function breakOff(url, length) {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, hostname, () => {
      socket.write(`PUT ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${length}\r\n\r\n`);
      socket.end(Buffer.alloc(length / 2, 'x'));
    });
    socket.on('error', reject).on('close', resolve).resume();
  });
}
