//! A content-addressed store: the name of a file is its SHA-256, so equal files are stored once.
//!
//! - `POST /blobs` stores the body under its digest: 201 with `Location`, or 200 if the file was there.
//! - `PUT /blobs/DIGEST` does the same in one step for a digest that the client knows; other content is refused.
//! - `GET`, `HEAD` and `DELETE /blobs/DIGEST`.
//!
//! The host moves and hashes all content; no byte of a file enters this program.

mod http;
mod upkeep;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Answer, Content, field};
use portico_guest::bindings::exports::portico::storage::maintenance;
use portico_guest::bindings::exports::wasi::http::incoming_handler;
use portico_guest::bindings::portico::storage::storage;
use portico_guest::bindings::wasi::http::types::{Fields, IncomingRequest, Method, ResponseOutparam};
use portico_guest::{Digest, Error, Expected, FinalOptions, PartOptions, Store, StoredObject};

struct Portal;

portico_guest::export_portal!(Portal);

impl incoming_handler::Guest for Portal {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = request.method();
        let answer = route(&request, &method).unwrap_or_else(http::refused);
        answer.send(matches!(method, Method::Head), out);
    }
}

impl maintenance::Guest for Portal {
    fn run(_: u32, after: Option<String>) -> Result<maintenance::Progress, storage::Error> {
        upkeep::step(after.as_deref())
    }
}

fn route(request: &IncomingRequest, method: &Method) -> Result<Answer, Error> {
    let target = request.path_with_query().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let Some(name) = path.strip_prefix("/blobs").and_then(|rest| rest.strip_prefix('/').or(Some(rest))) else {
        return Err(Error::NotFound);
    };
    match (method, name) {
        (Method::Post, "") => post(request),
        (_, "") => Ok(http::not_allowed("POST")),
        (Method::Put, _) => put(request, name),
        (Method::Get | Method::Head, _) => get(request, name, matches!(method, Method::Get)),
        (Method::Delete, _) => {
            let stored = Store::open().stat_final(name)?;
            Store::open().delete_final(&stored.bucket, &stored.key)?;
            Ok(Answer::new(204))
        }
        _ => Ok(http::not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

/// Stores content whose digest nobody has computed yet: as a part, which then becomes the file of that name.
fn post(request: &IncomingRequest) -> Result<Answer, Error> {
    let store = Store::open();
    let session = upkeep::new_session();
    let mut part = PartOptions::new().want_sha256();
    part.expected = expected(&request.headers())?;
    let stored = http::body(request).and_then(|body| store.put_temp_part(&session, 1, body, part)).and_then(|part| {
        let digest = part.sha256.expect("the put asked for the digest");
        store.assemble_final(&digest.to_string(), [part.temp_key], options(request))
    });
    // An assembly that fails leaves the part.
    if stored.is_err() {
        store.delete_session_parts(&session)?;
    }
    stored.map(created)
}

/// Stores content under the digest that the client gave, which the host checks.
fn put(request: &IncomingRequest, name: &str) -> Result<Answer, Error> {
    let digest: Digest = name.parse().map_err(|_| Error::NotFound)?;
    let mut options = options(request);
    options.expected = expected(&request.headers())?;
    if options.expected.sha256.replace(digest).is_some_and(|announced| announced != digest) {
        return Err(Error::DigestMismatch);
    }
    Store::open().put_final(&digest.to_string(), http::body(request)?, options).map(created)
}

fn get(request: &IncomingRequest, name: &str, with_ranges: bool) -> Result<Answer, Error> {
    let reader = Store::open().open_final(name)?;
    let stored = reader.receipt();
    let fields = request.headers();
    let condition = field(&fields, "if-range");
    let wanted = field(&fields, "range").filter(|_| with_ranges && condition.is_none_or(|tag| tag == etag(stored)));
    let range = wanted.and_then(|wanted| http::range(&wanted, stored.size));
    let (status, range) = match range {
        None => (200, 0..stored.size),
        Some(range) if range.is_empty() => return Err(Error::OutOfRange { size: stored.size }),
        Some(range) => (206, range),
    };
    let media_type = stored.content_type.as_deref().unwrap_or("application/octet-stream");
    let mut answer = described(status, stored).field("accept-ranges", "bytes").field("content-type", media_type);
    if status == 206 {
        let (first, last) = (range.start, range.end - 1);
        answer = answer.field("content-range", &format!("bytes {first}-{last}/{}", stored.size));
    }
    let size = range.end - range.start;
    Ok(answer.content(Content::Stored(reader.stream(range)?.into_inner(), size)))
}

/// Returns what the client announces: the size, and the SHA-256 of Repr-Digest (RFC 9530).
fn expected(fields: &Fields) -> Result<Expected, Error> {
    let size = field(fields, "content-length").and_then(|length| length.parse().ok());
    let announced = field(fields, "repr-digest");
    let value =
        announced.as_deref().and_then(|text| text.split("sha-256=:").nth(1)).and_then(|rest| rest.split(':').next());
    let decode = |text| BASE64_STANDARD.decode(text).ok().and_then(|bytes| <[u8; Digest::LEN]>::try_from(bytes).ok());
    let sha256 = match value {
        None => None,
        Some(text) => Some(Digest::new(decode(text).ok_or(Error::DigestMismatch)?)),
    };
    Ok(Expected { size, sha256, ..Expected::default() })
}

fn options(request: &IncomingRequest) -> FinalOptions {
    let options = FinalOptions::new().same_content_ok();
    match field(&request.headers(), "content-type").filter(|media_type| !media_type.is_empty()) {
        Some(media_type) => options.content_type(media_type),
        None => options,
    }
}

fn created(stored: StoredObject) -> Answer {
    let status = if stored.replayed { 200 } else { 201 };
    described(status, &stored)
        .field("location", &format!("/blobs/{}", stored.file_id))
        .content(Content::Text(String::new()))
}

fn described(status: u16, stored: &StoredObject) -> Answer {
    let digest = BASE64_STANDARD.encode(stored.sha256.as_bytes());
    Answer::new(status).field("etag", &etag(stored)).field("repr-digest", &format!("sha-256=:{digest}:"))
}

fn etag(stored: &StoredObject) -> String {
    format!("\"{}\"", stored.sha256)
}
