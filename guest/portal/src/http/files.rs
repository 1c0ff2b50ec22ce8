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
    engine::{ORIGINAL_FILENAME, RELATIVE_PATH},
    http::{
        form::{self, Uploaded},
        links,
        receipts::{self, Row},
        route::Route,
    },
    limits::PAGE,
    policy::{accept, announced_name::Disposition, form as rules, names, parts},
    session::millis,
    times,
};
use percent_encoding::percent_decode_str;
use portico_guest::{
    Argument, Error, Store, StoredObject,
    exchange::{Outcome, Protocol, count_upload},
    http::{self, Kind, Problem, Request, Response, disposition, media_type},
    random,
};
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
            created_at: times::rfc3339(created_ms(object)),
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
    request.must_make_a_new_file()?;
    let store = Store::open();
    let Uploaded { files, unused } = form::store(request, &boundary, &store)?;
    let response = Response::new(201).header("cache-control", "no-store").header("vary", "accept");
    let response = match files.as_slice() {
        [file] => response.header("location", links::file(request, &file.file_id)),
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
    let options = request.final_options()?.metadata(ORIGINAL_FILENAME, name);
    let store = Store::open();
    let info = store.info();
    // Refuse before the first byte is read. For a body of unknown length the store enforces the limit.
    if options.expected.size.is_some_and(|size| size > info.max_object_size) {
        return Err(Error::TooLarge { limit: info.max_object_size }.into());
    }
    let stored = store.put_final(&random::id(), request.body(), options);
    count_upload(Protocol::Files, if stored.is_ok() { Outcome::Complete } else { Outcome::Failed });
    let stored = stored?;
    Ok(Response::new(201)
        .header("location", links::file(request, &stored.file_id))
        .json("application/json", &Receipt::new(&stored, &info.backend)))
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
    let file = Store::open().open_final(file_id)?;
    let response = http::download(request, &file)?;
    if response.status() == 304 {
        return Ok(response);
    }
    Ok(response.header("content-disposition", disposition::attachment(original_filename(file.receipt()))))
}

fn delete(request: &Request, parameters: &[&str]) -> Result<Response, Problem> {
    http::delete(request, &Store::open(), &file_id(parameters[0])?)
}

/// Decodes the file id in a path.
fn file_id(segment: &str) -> Result<Cow<'_, str>, Problem> {
    Ok(percent_decode_str(segment).decode_utf8().map_err(|_| Kind::NOT_FOUND)?)
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
