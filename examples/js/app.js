// A portal with an index page of its own: GET / lists the files; PUT, GET, HEAD and DELETE /files/NAME.
//
// The host moves all content; no byte of a file enters this program.

import { open } from 'portico:storage/storage@0.2.0';
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.12';

const STATUS = {
  'not-found': 404, gone: 410, conflict: 409, 'invalid-argument': 400, 'size-mismatch': 400, 'digest-mismatch': 400,
  'too-large': 413, interrupted: 400, stalled: 408, 'no-space': 507, unavailable: 503,
};
const PAGE = 100;

/** An answer other than the one that the client wanted. */
class Refused extends Error {
  constructor(status, text, fields = []) {
    super(text);
    Object.assign(this, { status, fields });
  }
}

/** The one export: the host calls `handle` in a fresh instance for each request. */
export const incomingHandler = {
  handle(request, out) {
    const method = request.method().tag;
    try {
      answer(request, method, out);
    } catch (error) {
      const tag = error.payload?.tag;
      if (error instanceof Refused) send(out, method, error.status, error.fields, error.message);
      // What the store reports. Anything else ends as a stack in the log, and as 500 for the client.
      else if (tag) send(out, method, STATUS[tag] ?? 500, [], tag);
      else throw error;
    }
  },
};

function answer(request, method, out) {
  const [path, query] = (request.pathWithQuery() ?? '').split('?', 2);
  if (path === '/') return index(out, method, parameter(query, 'after'));
  const name = decoded(path.match(/^\/files\/([^/]+)$/)?.[1]);
  if (name === undefined) throw new Refused(404, 'not found');
  switch (method) {
    case 'put': return put(request, name, out);
    case 'get': case 'head': return get(request, name, out, method);
    case 'delete': return remove(name, out);
    default: throw new Refused(405, 'method not allowed', [['allow', 'GET, HEAD, PUT, DELETE']]);
  }
}

/** Lists a page of files, in the order of their names. */
function index(out, method, after) {
  if (method !== 'get' && method !== 'head') throw new Refused(405, 'method not allowed', [['allow', 'GET, HEAD']]);
  const store = open();
  const { fileIds, next } = store.listFinals(after, PAGE);
  // Files that were deleted since the listing are left out.
  const rows = store.statFinals(fileIds).filter(Boolean).map((stored) => {
    const created = new Date(Number(stored.createdAt)).toISOString();
    return `<tr><td><a href="files/${stored.fileId}">${stored.fileId}</a><td>${stored.size}<td>${created}`;
  });
  const more = next ? `<p><a href="?after=${encodeURIComponent(next)}">more</a>` : '';
  const page = `<!doctype html><html lang=en><meta charset=utf-8><title>Files</title><h1>Files</h1>
<table><tr><th>name<th>bytes<th>created
${rows.join('\n')}
</table>${more}
`;
  // The names need no escapes here: the store has no name with a character of HTML or of a URL's syntax.
  const fields = [['content-type', 'text/html; charset=utf-8'], ['cache-control', 'no-store']];
  send(out, method, 200, [...fields, ['content-security-policy', "default-src 'none'"]], page);
}

function put(request, name, out) {
  const fields = request.headers();
  const length = field(fields, 'content-length');
  const expected = { size: length && BigInt(length), sha256: announcedDigest(fields), others: [] };
  // Browsers send an empty type for what they do not know.
  const contentType = field(fields, 'content-type') || undefined;
  const options = { expected, ifExists: 'same-content-ok', contentType, metadata: [] };
  // Hands the body over: the host pulls it to its end, and checks what is expected.
  const stored = open().putFinal(name, request.consume().stream(), options);
  send(out, 'put', stored.replayed ? 200 : 201, [['location', `/files/${stored.fileId}`], ...validators(stored)], '');
}

function get(request, name, out, method) {
  const reader = open().openFinal(name);
  const stored = reader.receipt();
  // Ranges are for GET alone (RFC 9110, 14.2).
  const [start, end] = method === 'get' ? selected(request.headers(), stored) : [0n, stored.size];
  const fields = [
    ...validators(stored),
    ['accept-ranges', 'bytes'],
    ['content-type', stored.contentType ?? 'application/octet-stream'],
  ];
  const partial = end - start < stored.size;
  if (partial) fields.push(['content-range', `bytes ${start}-${end - 1n}/${stored.size}`]);
  send(out, method, partial ? 206 : 200, fields, { source: reader.stream({ start, end }), size: end - start });
}

function remove(name, out) {
  const stored = open().statFinal(name);
  open().deleteFinal(stored.bucket, stored.key);
  send(out, 'delete', 204, []);
}

/** Returns the half-open range that the client wants: all bytes if it wants no range, or several. */
function selected(fields, stored) {
  const whole = [0n, stored.size];
  const [, first, last] = field(fields, 'range')?.match(/^bytes=(\d*)-(\d*)$/) ?? [];
  const condition = field(fields, 'if-range');
  if (!(first || last) || (condition && condition !== etag(stored))) return whole;
  if (first && last && BigInt(last) < BigInt(first)) return whole;
  const end = first && last && BigInt(last) < stored.size ? BigInt(last) + 1n : stored.size;
  const start = first ? BigInt(first) : BigInt(last) < stored.size ? stored.size - BigInt(last) : 0n;
  if (start >= end) throw new Refused(416, 'no such range', [['content-range', `bytes */${stored.size}`]]);
  return [start, end];
}

/** Returns the SHA-256 of Repr-Digest (RFC 9530), which the host then checks. */
function announcedDigest(fields) {
  const announced = field(fields, 'repr-digest')?.match(/(?:^|,)\s*sha-256=:([^:]*):/)?.[1];
  if (announced === undefined) return undefined;
  try {
    return Uint8Array.from(atob(announced), (byte) => byte.charCodeAt(0));
  } catch {
    throw new Refused(400, 'repr-digest is malformed');
  }
}

function validators(stored) {
  const base64 = btoa(String.fromCharCode(...stored.sha256));
  return [['etag', etag(stored)], ['repr-digest', `sha-256=:${base64}:`]];
}

function etag({ sha256 }) {
  return `"${Array.from(sha256, (byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}

function field(fields, name) {
  const [value] = fields.get(name);
  return value && new TextDecoder().decode(value);
}

function parameter(query, name) {
  const found = query?.split('&').find((pair) => pair.startsWith(`${name}=`));
  return decoded(found?.slice(name.length + 1));
}

function decoded(text) {
  try {
    return text && decodeURIComponent(text);
  } catch {
    throw new Refused(400, 'malformed escape');
  }
}

/** Sends a text, or a stream with its size, or nothing. */
function send(out, method, status, fields, content) {
  const text = typeof content === 'string' ? new TextEncoder().encode(content) : undefined;
  const size = content && BigInt(text?.length ?? content.size);
  if (content !== undefined) fields = [...fields, ['content-length', `${size || 0}`]];
  const encoded = fields.map(([name, value]) => [name, new TextEncoder().encode(value)]);
  const response = new OutgoingResponse(Fields.fromList(encoded));
  response.setStatusCode(status);
  if (!size || method === 'head') return ResponseOutparam.set(out, { tag: 'ok', val: response });
  const body = response.body();
  ResponseOutparam.set(out, { tag: 'ok', val: response });
  const sink = body.write();
  if (text) {
    for (let at = 0; at < text.length; at += 4096) sink.blockingWriteAndFlush(text.subarray(at, at + 4096));
  } else {
    // The host moves the bytes.
    for (let left = size; left > 0n;) left -= sink.blockingSplice(content.source, left);
  }
  sink[Symbol.dispose]();
  // Fails if fewer bytes were written than announced: then the client sees a response that broke off.
  OutgoingBody.finish(body, undefined);
}
