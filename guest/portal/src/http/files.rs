//! `/files`: whole files in one request each.
//!
//! - `GET /files` lists a page of files: `limit` entries after the cursor `after`.
//! - `POST /files` stores the files of a form (`multipart/form-data`), or any other body under the name in
//!   `Content-Disposition` or `?name=`. It returns 201 with the receipts, or with a page for a browser.
//! - `PUT /files/{name}` stores the body under a new random id and returns 201 with the receipt. The name is only the
//!   original filename: two PUTs of one name make two files.
//! - `GET` and `HEAD /files/{file_id}` return the content: whole, or one range, or 304.
//! - `DELETE /files/{file_id}` returns 204 once; every later request for the file gets 410.
//!
//! An unknown id is 404, and so is a malformed one.

use crate::{
    clock,
    engine::{ORIGINAL_FILENAME, RELATIVE_PATH},
    http::{
        form::{self, Uploaded},
        problem::{Kind, Problem},
        receipts::{self, Row},
        request::Request,
        response::Response,
        route::Route,
    },
    limits::PAGE,
    policy::{accept, announced_name::Disposition, form as rules, names, parts},
    session::millis,
};
use percent_encoding::percent_decode_str;
use portico_guest::exchange::{Outcome, Protocol, count_upload};
use portico_guest::http::{
    conditions::{Validators, Verdict},
    digests, disposition, media_type,
    ranges::{self, Selection},
};
use portico_guest::{Argument, Error, FinalOptions, Store, StoredObject};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, time::SystemTime};

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: &["files"], methods: &[("GET", list), ("HEAD", list), ("POST", post)] },
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
    /// The path of the file in the folder that the client sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_path: Option<&'o str>,
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
            relative_path: object.metadata(RELATIVE_PATH),
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

/// The files of a form that were stored.
#[derive(Serialize)]
struct FormFiles<'o> {
    files: Vec<FormFile<'o>>,
    /// The names of fields after the last file, which are metadata of no file.
    unused_fields: &'o [String],
}

/// A file of a form: its receipt, and its metadata from the fields.
#[derive(Serialize)]
struct FormFile<'o> {
    #[serde(flatten)]
    receipt: Receipt<'o>,
    metadata: BTreeMap<&'o str, &'o str>,
}

impl<'o> FormFile<'o> {
    fn new(object: &'o StoredObject, backend: &'o str) -> Self {
        let pairs = object.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let metadata = pairs.filter(|(key, _)| *key != ORIGINAL_FILENAME).collect();
        FormFile { receipt: Receipt::new(object, backend), metadata }
    }
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

fn post(request: &Request, _: &[&str]) -> Result<Response, Problem> {
    let content_type = request.field("content-type");
    let boundary = rules::boundary(content_type.as_deref()).map_err(|why| Problem::invalid("content-type", why))?;
    let Some(boundary) = boundary else { return store(request, posted_name(request)?) };
    if request.parameter("name")?.is_some() {
        return Err(Problem::invalid("name", "each file of a form has a name of its own"));
    }
    must_be_possible(request)?;
    let store = Store::open();
    let Uploaded { files, unused } = form::store(request, &boundary, &store)?;
    let response = Response::new(201).header("cache-control", "no-store").header("vary", "accept");
    let response = match files.as_slice() {
        [file] => response.header("location", request.file(&file.file_id)),
        _ => response,
    };
    if accept::prefers_html(request.field("accept").as_deref()) {
        let rows = files.iter().map(|file| Row { id: &file.file_id, name: original_filename(file), file });
        return Ok(receipts::respond(response, rows, &unused));
    }
    let backend = store.info().backend;
    let files = files.iter().map(|file| FormFile::new(file, &backend)).collect();
    Ok(response.json("application/json", &FormFiles { files, unused_fields: &unused }))
}

fn put(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    store(request, names::of_segment(parameters[0]).map_err(|bad| Problem::invalid("name", bad.reason()))?)
}

/// Stores the body, which the host pulls, as a file of that name.
fn store(request: &Request, name: String) -> Result<Response, Problem> {
    let mut options = FinalOptions::new().content_type(announced_type(request)?).metadata(ORIGINAL_FILENAME, name);
    options.expected.sha256 = request.announced_digest()?;
    options.expected.size = request.content_length()?;
    must_be_possible(request)?;

    let store = Store::open();
    let info = store.info();
    // Refuse before the first byte is read. For a body of unknown length the store enforces the limit.
    if options.expected.size.is_some_and(|size| size > info.max_object_size) {
        return Err(Error::TooLarge { limit: info.max_object_size }.into());
    }
    let body = request.body();
    let stored = store.put_final(&clock::random_id(), body.stream(), options);
    count_upload(Protocol::Files, if stored.is_ok() { Outcome::Complete } else { Outcome::Failed });
    let stored = stored?;
    Ok(Response::new(201)
        .header("location", request.file(&stored.file_id))
        .json("application/json", &Receipt::new(&stored, &info.backend)))
}

/// Refuses partial and coded content, and conditions. A new file matches no condition on an existing one.
fn must_be_possible(request: &Request) -> Result<(), Problem> {
    request.must_be_whole_and_plain()?;
    match request.conditions().verdict(None, false) {
        Verdict::Failed => Err(Kind::PRECONDITION_FAILED.into()),
        _ => Ok(()),
    }
}

/// Returns the name of a posted file: that of `Content-Disposition` or that of the query, which must agree.
fn posted_name(request: &Request) -> Result<String, Problem> {
    let invalid = |detail| Problem::invalid("content-disposition", detail);
    let announced = match request.field("content-disposition") {
        None => None,
        // The value was not UTF-8.
        Some(field) if field.contains(char::REPLACEMENT_CHARACTER) => return Err(invalid("not UTF-8")),
        Some(field) => {
            let parsed = Disposition::of_request(field.as_bytes()).map_err(|bad| invalid(bad.reason()))?;
            if parsed.kind != "attachment" {
                return Err(invalid("attachment expected"));
            }
            let name = parsed.filename.ok_or_else(|| invalid("a filename expected"))?;
            names::check_parameter(&name).map_err(|bad| invalid(bad.reason()))?;
            Some(name)
        }
    };
    let named = request.parameter("name")?;
    if let Some(name) = &named {
        names::check(name).map_err(|bad| Problem::invalid("name", bad.reason()))?;
    }
    match (announced, named) {
        (Some(one), Some(other)) if one != other => {
            Err(Problem::invalid("name", "the name differs from the filename in Content-Disposition"))
        }
        (None, None) => Err(Problem::invalid("name", "a name in Content-Disposition or the query expected")),
        (announced, named) => Ok(announced.or(named).unwrap_or_default()),
    }
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
pub(super) fn original_filename(object: &StoredObject) -> &str {
    object.metadata(ORIGINAL_FILENAME).unwrap_or(&object.file_id)
}

fn announced_type(request: &Request) -> Result<String, Problem> {
    let field = request.field("content-type");
    let announced = media_type::announced(field.as_deref()).map(str::to_owned);
    announced.ok_or_else(|| Problem::invalid("content-type", media_type::EXPECTED))
}
