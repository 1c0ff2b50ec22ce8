"""A portal that refuses programs, and files that are not what their names say.

PUT, GET, HEAD and DELETE /files/NAME. The first 4 KiB of an upload are looked at before anything is published; the host
pulls the rest by itself. No other byte of a file enters this program.
"""

import base64
import binascii
import re
from urllib.parse import unquote

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import storage, streams
from wit_world.imports.storage import ByteRange, Expected, FinalOptions, IfExists, Writer
from wit_world.imports.types import (
    Fields, Method_Delete, Method_Get, Method_Head, Method_Put, OutgoingBody, OutgoingResponse, ResponseOutparam,
)

HEAD_BYTES = 4096
PROGRAMS = (b"\x7fELF", b"MZ", b"#!", b"\0asm", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
BEGINNINGS = {
    "gif": (b"GIF87a", b"GIF89a"),
    "jpg": (b"\xff\xd8\xff",),
    "pdf": (b"%PDF-",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "zip": (b"PK\3\4", b"PK\5\6"),
}
STATUS = {
    storage.Error_NotFound: 404,
    storage.Error_Gone: 410,
    storage.Error_Conflict: 409,
    storage.Error_InvalidArgument: 400,
    storage.Error_SizeMismatch: 400,
    storage.Error_DigestMismatch: 400,
    storage.Error_TooLarge: 413,
    storage.Error_Interrupted: 400,
    storage.Error_Stalled: 408,
    storage.Error_NoSpace: 507,
    storage.Error_Unavailable: 503,
}


class Refused(Exception):
    """An answer other than the one that the client wanted."""

    def __init__(self, status, text, fields=()):
        super().__init__(text)
        self.status, self.fields = status, list(fields)


class IncomingHandler(exports.IncomingHandler):
    """The one export: the host calls `handle` in a fresh instance for each request."""

    def handle(self, request, response_out):
        method = request.method()
        try:
            answer(request, method, response_out)
        except Refused as refused:
            send(response_out, refused.status, refused.fields, str(refused), method)
        except Err as err:
            # What the store reports. Anything else ends as a traceback in the log, and as 500 for the client.
            send(response_out, STATUS.get(type(err.value), 500), [], type(err.value).__name__, method)


def answer(request, method, out):
    path = (request.path_with_query() or "").partition("?")[0]
    if not (named := re.fullmatch(r"/files/([^/]+)", path)):
        raise Refused(404, "not found")
    name = unquote(named[1])
    if isinstance(method, Method_Put):
        put(request, name, out)
    elif isinstance(method, (Method_Get, Method_Head)):
        get(request, name, out, method)
    elif isinstance(method, Method_Delete):
        stored = storage.open().stat_final(name)
        storage.open().delete_final(stored.bucket, stored.key)
        send(out, 204, [], None, method)
    else:
        raise Refused(405, "method not allowed", [("allow", b"GET, HEAD, PUT, DELETE")])


def put(request, name, out):
    fields = request.headers()
    length = field(fields, "content-length")
    expected = Expected(int(length) if length else None, announced_digest(fields), [])
    options = FinalOptions(expected, IfExists.SAME_CONTENT_OK, field(fields, "content-type") or None, [])
    # Refuses at once what the store would refuse in the end. Dropped without `finish`, a writer leaves nothing.
    writer = storage.open().create_final(name, options)
    body = request.consume()
    source = body.stream()
    head = read_head(source)
    if reason := refusal(name, head):
        raise Refused(415, reason)
    with writer.sink() as sink:
        sink.blocking_write_and_flush(head)
    writer.pull(source)  # the host moves the rest
    stored = Writer.finish(writer, expected).value
    location = ("location", b"/files/" + stored.file_id.encode())
    send(out, 200 if stored.replayed else 201, [location, *validators(stored)], "", Method_Put())


def get(request, name, out, method):
    reader = storage.open().open_final(name)
    stored = reader.receipt()
    # Ranges are for GET alone (RFC 9110, 14.2).
    start, end = selected(request.headers(), stored) if isinstance(method, Method_Get) else (0, stored.size)
    fields = [
        *validators(stored),
        ("accept-ranges", b"bytes"),
        ("content-type", (stored.content_type or "application/octet-stream").encode()),
    ]
    status = 200
    if end - start < stored.size:
        status = 206
        fields.append(("content-range", f"bytes {start}-{end - 1}/{stored.size}".encode()))
    send(out, status, fields, (reader.stream(ByteRange(start, end)), end - start), method)


def read_head(source):
    """Returns the first bytes: `HEAD_BYTES`, or fewer if the content is shorter."""
    head = b""
    try:
        while len(head) < HEAD_BYTES:
            head += source.blocking_read(HEAD_BYTES - len(head))
    except Err as err:
        if not isinstance(err.value, streams.StreamError_Closed):
            raise Refused(400, "the upload broke off") from err
    return head


def refusal(name, head):
    """Returns why a file is refused; None if it is welcome."""
    if head.startswith(PROGRAMS):
        return "programs are refused"
    ending = name.rpartition(".")[2].lower()
    if ending in BEGINNINGS and not head.startswith(BEGINNINGS[ending]):
        return f"the content is no {ending}"
    return None


def selected(fields, stored):
    """Returns the half-open range that the client wants: all bytes if it wants no range, or several."""
    whole = 0, stored.size
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", field(fields, "range") or "")
    condition = field(fields, "if-range")
    if not wanted or not any(wanted.groups()) or condition not in (None, etag(stored)):
        return whole
    first, last = wanted.groups()
    start = int(first) if first else max(0, stored.size - int(last))
    end = min(int(last) + 1, stored.size) if first and last else stored.size
    if first and last and int(last) < start:
        return whole
    if start >= end:
        raise Refused(416, "no such range", [("content-range", f"bytes */{stored.size}".encode())])
    return start, end


def announced_digest(fields):
    """Returns the SHA-256 of Repr-Digest (RFC 9530), which the host then checks."""
    announced = re.search(r"(?:^|,)\s*sha-256=:([^:]*):", field(fields, "repr-digest") or "")
    try:
        return base64.b64decode(announced[1], validate=True) if announced else None
    except binascii.Error as error:
        raise Refused(400, "repr-digest is malformed") from error


def validators(stored):
    digest = base64.b64encode(stored.sha256).decode()
    return [("etag", etag(stored).encode()), ("repr-digest", f"sha-256=:{digest}:".encode())]


def etag(stored):
    return f'"{stored.sha256.hex()}"'


def field(fields, name):
    values = fields.get(name)
    return values[0].decode("latin-1") if values else None


def send(out, status, fields, content, method):
    """Sends a text, or a stream with its size, or nothing."""
    text = content.encode() if isinstance(content, str) else None
    size = len(text) if text is not None else content[1] if content else None
    if size is not None:
        fields = [*fields, ("content-length", str(size).encode())]
    response = OutgoingResponse(Fields.from_list(fields))
    response.set_status_code(status)
    if not size or isinstance(method, Method_Head):
        return ResponseOutparam.set(out, Ok(response))
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as sink:
        if text is not None:
            sink.blocking_write_and_flush(text)
        else:
            source, left = content
            while left:  # the host moves the bytes
                left -= sink.blocking_splice(source, left)
    # Fails if fewer bytes were written than announced: then the client sees a response that broke off.
    OutgoingBody.finish(body, None)
