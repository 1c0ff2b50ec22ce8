//! `/files`: whole files in one request each.
//!
//! - `GET /files` lists a page of files: `limit` entries after the cursor `after`.
//! - `PUT /files/{name}` stores the body under a new random id and returns 201 with the receipt. The name is only the
//!   original filename: two PUTs of one name make two files.
//! - `GET` and `HEAD /files/{file_id}` return the content: whole, or one range, or 304.
//! - `DELETE /files/{file_id}` returns 204 once; every later request for the file gets 410.
//!
//! An unknown id is 404, and so is a malformed one.

use crate::{
    clock,
    engine::ORIGINAL_FILENAME,
    http::{
        problem::{Kind, Problem},
        request::Request,
        response::Response,
        route::Route,
    },
    limits::PAGE,
    policy::{
        conditions::{Validators, Verdict},
        digests, disposition, media_type, names, parts,
        ranges::{self, Selection},
    },
    session::millis,
};
use percent_encoding::percent_decode_str;
use portico_guest::{Argument, Error, FinalOptions, Store, StoredObject};
use serde::Serialize;
use std::{borrow::Cow, time::SystemTime};

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: &["files"], methods: &[("GET", list), ("HEAD", list)] },
    Route { pattern: &["files", "*"], methods: &[("GET", get), ("HEAD", get), ("PUT", put), ("DELETE", delete)] },
];

/// The receipt of a file, as clients see it.
#[derive(Serialize)]
pub(super) struct Receipt<'o> {
    file_id: &'o str,
    backend: &'o str,
    bucket: &'o str,
    key: &'o str,
    size_bytes: u64,
    sha256: String,
    content_type: &'o str,
    original_filename: &'o str,
    created_at: String,
}

impl<'o> Receipt<'o> {
    pub(super) fn new(object: &'o StoredObject, backend: &'o str) -> Self {
        Receipt {
            file_id: &object.file_id,
            backend,
            bucket: &object.bucket,
            key: &object.key,
            size_bytes: object.size,
            sha256: object.sha256.to_string(),
            content_type: content_type(object),
            original_filename: original_filename(object),
            created_at: clock::rfc3339(created_ms(object)),
        }
    }
}

/// A page of the listing.
#[derive(Serialize)]
struct Listed<'o> {
    files: Vec<Receipt<'o>>,
    /// The `after` of the next page; null on the last page.
    next: Option<&'o str>,
}

fn list(request: &Request, _: &[&str]) -> Result<Response, Problem> {
    let limit = match request.parameter("limit")? {
        None => PAGE.0,
        Some(text) => parts::number(&text)
            .filter(|limit| *limit <= PAGE.1)
            .ok_or_else(|| Problem::invalid("limit", format!("a whole number from 1 to {} expected", PAGE.1)))?,
    };
    let after = request.parameter("after")?;
    let store = Store::open();
    let page = store.list_finals(after.as_deref(), limit).map_err(|error| match error {
        Error::InvalidArgument(Argument::Cursor) => Problem::invalid("after", "not the `next` of a page"),
        error => error.into(),
    })?;
    // Files that were deleted since the listing are left out.
    let objects = store.stat_finals(&page.items)?;
    let info = store.info();
    let files = objects.iter().flatten().map(|object| Receipt::new(object, &info.backend)).collect();
    let listed = Listed { files, next: page.next.as_deref() };
    Ok(Response::new(200).header("cache-control", "no-store").json("application/json", &listed))
}

fn put(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let name = names::of_segment(parameters[0]).map_err(|bad| Problem::invalid("name", bad.reason()))?;
    let mut options = FinalOptions::new().content_type(announced_type(request)?).metadata(ORIGINAL_FILENAME, name);
    options.expected.sha256 = request.announced_digest()?;
    options.expected.size = request.content_length()?;
    request.must_be_whole_and_plain()?;
    // The file is new, so no condition can match an existing one.
    if request.conditions().verdict(None, false) == Verdict::Failed {
        return Err(Kind::PRECONDITION_FAILED.into());
    }

    let store = Store::open();
    let info = store.info();
    // Refuse before the first byte is read. For a body of unknown length the store enforces the limit.
    if options.expected.size.is_some_and(|size| size > info.max_object_size) {
        return Err(Error::TooLarge { limit: info.max_object_size }.into());
    }
    let body = request.body();
    let stored = store.put_final(&clock::random_id(), body.stream(), options)?;
    Ok(Response::new(201)
        .header("location", format!("/files/{}", stored.file_id))
        .json("application/json", &Receipt::new(&stored, &info.backend)))
}

fn get(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    download(request, &file_id(parameters[0])?)
}

/// Returns the content of a file: whole, one range, or 304.
pub(super) fn download(request: &Request, file_id: &str) -> Result<Response, Problem> {
    let reader = Store::open().open_final(file_id)?;
    let object = reader.receipt();
    let validators = Validators::of(object, clock::now());
    match request.conditions().verdict(Some(&validators), true) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(about(Response::new(304), &validators)),
        Verdict::Failed => return Err(Kind::PRECONDITION_FAILED.into()),
    }
    if request.method() == "HEAD" {
        // Ranges apply to GET alone (RFC 9110, 14.2).
        return Ok(represent(Response::new(200), object, &validators).withheld(object.size));
    }
    let ranged = validators.hold_for_range(request.field("if-range").as_deref());
    let range = if ranged { request.field("range") } else { None };
    let (status, first, end) = match ranges::select(range.as_deref(), object.size) {
        Selection::Whole => (200, 0, object.size),
        Selection::Part { first, end } => (206, first, end),
        Selection::Unsatisfiable => return Err(Error::OutOfRange { size: object.size }.into()),
    };
    let content = reader.stream(first..end)?.into_inner();
    let mut response = Response::new(status);
    if status == 206 {
        response = response.header("content-range", ranges::content_range(first, end, object.size));
    }
    Ok(represent(response, object, &validators).stream(content, end - first))
}

fn delete(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    let store = Store::open();
    let object = store.stat_final(&file_id(parameters[0])?)?;
    if request.conditions().verdict(Some(&Validators::of(&object, clock::now())), false) == Verdict::Failed {
        return Err(Kind::PRECONDITION_FAILED.into());
    }
    // Of racing DELETEs exactly one succeeds.
    let deleted = store.delete_final(&object.bucket, &object.key)?;
    if deleted { Ok(Response::new(204)) } else { Err(Kind::GONE.into()) }
}

/// Decodes the file id in a path.
fn file_id(segment: &str) -> Result<Cow<'_, str>, Problem> {
    Ok(percent_decode_str(segment).decode_utf8().map_err(|_| Kind::NOT_FOUND)?)
}

/// Adds the fields that a 304 shares with a 200 (RFC 9110, 15.4.5). Caches must revalidate, because a file can be
/// deleted.
fn about(response: Response, validators: &Validators) -> Response {
    response
        .header("etag", validators.etag.clone())
        .header("last-modified", validators.last_modified())
        .header("cache-control", "no-cache")
}

/// Adds the fields that describe the content. Strangers upload it, so browsers must not guess its type, render it or
/// run it.
fn represent(response: Response, object: &StoredObject, validators: &Validators) -> Response {
    about(response, validators)
        .header("accept-ranges", "bytes")
        .header("content-type", content_type(object))
        .header("content-disposition", disposition::attachment(original_filename(object)))
        .header("repr-digest", digests::field(&object.sha256))
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "sandbox")
}

fn content_type(object: &StoredObject) -> &str {
    object.content_type.as_deref().unwrap_or(media_type::DEFAULT)
}

fn created_ms(object: &StoredObject) -> u64 {
    object.created_at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

/// Returns the original filename; the id for objects that another program stored.
fn original_filename(object: &StoredObject) -> &str {
    object.metadata(ORIGINAL_FILENAME).unwrap_or(&object.file_id)
}

fn announced_type(request: &Request) -> Result<String, Problem> {
    let field = request.field("content-type");
    let announced = media_type::announced(field.as_deref()).map(str::to_owned);
    announced.ok_or_else(|| Problem::invalid("content-type", media_type::EXPECTED))
}
