//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload-12, interop version 9; clients of versions 3 to 8 are
//! served by the same handlers).
//!
//! `Upload-Complete` of a response says whose response it is: true is the answer of the file's own URL, false one of
//! this protocol, after which a client goes on. Passing troubles are 503 without the field.

use crate::{
    engine::{Engine, Found, Parts},
    http::{
        problem::{Kind, Problem},
        request::Request,
        response::Response,
    },
    policy::{
        announced_name::Disposition,
        digests, media_type,
        upload_fields::{INTEROP_VERSION, PARTIAL_UPLOAD, boolean, integer, limits, write_boolean},
        upload_metadata::{UploadMetadata, fitting},
    },
    refusal::Refusal,
    session::{Announced, End, Form},
};
use portico_guest::{Error, PartOptions, StoredObject};

/// The name of a file whose client gave none.
const UNNAMED: &str = "upload";

/// Whether a request speaks this protocol at a URL where others are spoken too.
pub(super) fn is_spoken(request: &Request) -> bool {
    version(request).is_some()
        || completes(request).is_some()
        || request.field("content-type").is_some_and(|text| text.eq_ignore_ascii_case(PARTIAL_UPLOAD))
}

fn version(request: &Request) -> Option<u64> {
    request.field("upload-draft-interop-version").and_then(|field| integer(&field))
}

/// The version by which a request is served.
fn served(request: &Request) -> u64 {
    version(request).unwrap_or(INTEROP_VERSION).min(INTEROP_VERSION)
}

/// Whether the request has the last bytes of its upload, if it says.
fn completes(request: &Request) -> Option<bool> {
    let field = |name| request.field(name).and_then(|field| boolean(&field));
    field("upload-complete").or_else(|| {
        // Version 3 has the opposite.
        field("upload-incomplete").filter(|_| version(request) == Some(3)).map(|incomplete| !incomplete)
    })
}

/// Answers a request, with the fields that each response of the protocol has.
pub(super) fn answer(
    request: &Request,
    handler: impl FnOnce(&Request) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    handler(request).map_err(|problem| match problem.status() {
        // The client may go on later.
        500.. => problem,
        _ if problem.has("upload-complete") => problem,
        // Each other problem is one of the protocol.
        _ => {
            let (name, value) = completeness(request, false);
            problem.header(name, value.to_owned())
        }
    })
}

fn completeness(request: &Request, complete: bool) -> (&'static str, &'static str) {
    match served(request) {
        ..=3 => ("upload-incomplete", write_boolean(!complete)),
        _ => ("upload-complete", write_boolean(complete)),
    }
}

trait Completeness {
    fn complete(self, request: &Request, complete: bool) -> Self;
}

impl Completeness for Response {
    fn complete(self, request: &Request, complete: bool) -> Self {
        let (name, value) = completeness(request, complete);
        self.header(name, value)
    }
}

/// The limits of an upload. `min-size` is there because the field must not be empty.
fn upload_limit(max_size: u64, found: Option<&Found>) -> String {
    let age = found.map(|found| ("max-age", found.session.expires_at.saturating_sub(crate::clock::now_ms()) / 1_000));
    let sizes = [("max-size", max_size), ("min-size", 0)];
    limits(&sizes.into_iter().chain(age).collect::<Vec<_>>())
}

/// Adds what a client can learn of the server.
pub(super) fn describe(_: &Request, response: Response, max_size: u64) -> Response {
    response.header("upload-limit", upload_limit(max_size, None)).header("accept-patch", PARTIAL_UPLOAD)
}

pub(super) fn create(request: &Request) -> Result<Response, Problem> {
    let engine = Engine::open();
    let max_size = engine.store.info().max_object_size;
    // A request that says nothing of the protocol is an ordinary upload of a whole file.
    let complete = completes(request).unwrap_or(true);
    let mut file = announced(request)?;
    let length = announced_length(request, complete)?;
    if length.is_some_and(|length| length > max_size) {
        let problem = Problem::from(Kind::TOO_LARGE).limit(max_size);
        return Err(problem.header("upload-limit", upload_limit(max_size, None)));
    }
    file.total_size = length;
    file.sha256 = request.repr_digest()?.map(|digest| digest.to_string());
    let found = engine.create(file, Parts::Appended, None).map_err(refused)?;
    let location = request.absolute(&request.upload_path(&found.id));
    let offset = store(request, &engine, &found, 0, complete)?;
    let response = Response::new(201)
        .header("location", location)
        .header("upload-offset", offset.to_string())
        .header("upload-limit", upload_limit(max_size, Some(&found)))
        .header("cache-control", "no-store");
    if !complete {
        return Ok(response.complete(request, false));
    }
    let file = complete_at(&engine, &found, offset)?;
    Ok(finished_as(request, response, &file).complete(request, true))
}

/// Returns where an upload is, for HEAD and GET.
pub(super) fn look(request: &Request, id: &str) -> Result<Response, Problem> {
    if request.field("upload-offset").is_some() || completes(request).is_some() {
        return Err(Problem::invalid("upload-offset", "a request for the offset has none"));
    }
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    let response = Response::new(204).header("cache-control", "no-store");
    match engine.take_over(&found) {
        Ok(tail) => {
            let response = match engine.length(&found).map_err(refused)? {
                Some(length) => response.header("upload-length", length.to_string()),
                None => response,
            };
            let max_size = engine.store.info().max_object_size;
            Ok(response
                .header("upload-offset", tail.offset.to_string())
                .header("upload-limit", upload_limit(max_size, Some(&found)))
                .complete(request, false))
        }
        Err(Refusal::Ended(End::Complete)) => finished(request, &engine, &found, response),
        Err(Refusal::Kind) if !matches!(found.session.form(), Form::Appended) => {
            finished(request, &engine, &found, response)
        }
        Err(refusal) => Err(refused(refusal)),
    }
}

/// Adds what the protocol says of a finished upload.
pub(super) fn finished(
    request: &Request,
    engine: &Engine,
    found: &Found,
    response: Response,
) -> Result<Response, Problem> {
    let standing = engine.standing(&found.session).map_err(refused)?;
    let Some(file) = standing.file else {
        return Err(refused(standing.end.map_or(Refusal::Kind, Refusal::Ended)));
    };
    let max_size = engine.store.info().max_object_size;
    Ok(response
        .header("upload-offset", file.size.to_string())
        .header("upload-length", file.size.to_string())
        .header("upload-limit", upload_limit(max_size, Some(found)))
        .header("content-location", format!("../files/{}", file.file_id))
        .complete(request, true))
}

pub(super) fn append(request: &Request, id: &str) -> Result<Response, Problem> {
    let offset = request.field("upload-offset").and_then(|field| integer(&field));
    let offset = offset.ok_or_else(|| Problem::invalid("upload-offset", "an integer of at least 0 expected"))?;
    let complete = completes(request).ok_or_else(|| Problem::invalid("upload-complete", "?0 or ?1 expected"))?;
    let is_partial = request.field("content-type").is_some_and(|text| text.eq_ignore_ascii_case(PARTIAL_UPLOAD));
    if served(request) > 5 && !is_partial {
        return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail(format!("{PARTIAL_UPLOAD} expected")));
    }
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    let max_size = engine.store.info().max_object_size;
    let end = match store(request, &engine, &found, offset, complete) {
        Err(Failed::Complete) => return repeated(request, &engine, &found, offset, complete),
        stored => stored?,
    };
    let response = Response::new(204)
        .header("upload-offset", end.to_string())
        .header("upload-limit", upload_limit(max_size, Some(&found)))
        .header("cache-control", "no-store");
    if !complete {
        return Ok(response.complete(request, false));
    }
    let file = complete_at(&engine, &found, end)?;
    Ok(finished_as(request, response, &file).complete(request, true))
}

pub(super) fn cancel(_: &Request, id: &str) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    if let Some(end) = engine.standing(&found.session).map_err(refused)?.end.filter(|end| *end != End::Complete) {
        return Err(refused(Refusal::Ended(end)));
    }
    match engine.abort(&found) {
        // The file stays: this protocol cancels uploads, and deletes no files.
        Ok(()) | Err(Refusal::Ended(End::Complete)) => Ok(Response::new(204)),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// Why content could not be appended.
enum Failed {
    /// The upload is finished.
    Complete,
    Problem(Problem),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Failed::Problem(problem)
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Complete => Kind::SESSION_COMPLETE.into(),
            Failed::Problem(problem) => problem,
        }
    }
}

/// Appends the content of the request at an offset; returns the new one.
fn store(request: &Request, engine: &Engine, found: &Found, offset: u64, complete: bool) -> Result<u64, Failed> {
    let tail = match engine.take_over(found) {
        Err(Refusal::Ended(End::Complete)) => return Err(Failed::Complete),
        tail => tail.map_err(refused)?,
    };
    if tail.offset != offset {
        return Err(mismatch(tail.offset, offset).into());
    }
    let size = request.content_length()?;
    if let Some(field) = request.field("upload-length").and_then(|field| integer(&field)) {
        engine.set_length(found, field).map_err(refused)?;
    }
    let length = engine.length(found).map_err(refused)?;
    if let (Some(length), Some(size)) = (length, size) {
        let end = offset.saturating_add(size);
        // More than the length is refused by counting, below, because the upload is over then.
        if complete && end < length {
            return Err(inconsistent(engine, found).into());
        }
    }
    if size == Some(0) {
        return Ok(offset);
    }
    let limit = length.unwrap_or(engine.store.info().max_object_size).saturating_sub(offset);
    let mut options = PartOptions { limit: Some(limit), ..PartOptions::default() };
    options.expected.size = size;
    request.content_digest(&mut options.expected)?;
    options.keep_prefix = options.expected.sha256.is_none() && options.expected.others.is_empty();
    let body = request.body();
    let put = |number, options| engine.store.put_temp_part(&found.id, number, body.stream(), options);
    match engine.append(found, &tail, options, put) {
        // What has arrived is kept. Without Upload-Complete the client asks for the offset and goes on.
        Ok(part) if part.is_prefix => Err(unavailable().into()),
        Ok(part) => Ok(offset + part.size),
        Err(Refusal::Ended(End::Complete)) => Err(Failed::Complete),
        Err(Refusal::Offset(at)) => Err(mismatch(at, offset).into()),
        Err(Refusal::Store(Error::TooLarge { .. })) if length.is_some() => {
            // The upload can't become what it was announced to be.
            engine.abort(found).map_err(refused)?;
            Err(inconsistent(engine, found).into())
        }
        Err(Refusal::Store(Error::DigestMismatch)) => {
            Err(Problem::invalid("content-digest", "the content has another digest").into())
        }
        Err(refusal) => Err(refused(refusal).into()),
    }
}

/// Makes the file of an upload that ends at an offset.
fn complete_at(engine: &Engine, found: &Found, end: u64) -> Result<StoredObject, Problem> {
    engine.set_length(found, end).map_err(|refusal| match refusal {
        Refusal::Length => inconsistent(engine, found),
        refusal => refused(refusal),
    })?;
    Ok(engine.finalize(found).map_err(refused)?.0)
}

/// Answers an append to a finished upload: the client may have lost the answer to the last one.
fn repeated(
    request: &Request,
    engine: &Engine,
    found: &Found,
    offset: u64,
    complete: bool,
) -> Result<Response, Problem> {
    let Some(file) = engine.standing(&found.session).map_err(refused)?.file else {
        return Err(Kind::GONE.into());
    };
    if offset != file.size {
        return Err(mismatch(file.size, offset));
    }
    if !complete || request.content_length()? != Some(0) && request.content_length()?.is_some() {
        return Err(Problem::from(Kind::LENGTH_MISMATCH).detail("the upload is finished"));
    }
    let response = Response::new(204).header("upload-offset", offset.to_string()).header("cache-control", "no-store");
    Ok(finished_as(request, response, &file).complete(request, true))
}

/// Adds what a client wants to know of its file.
fn finished_as(request: &Request, response: Response, file: &StoredObject) -> Response {
    let response = response.header("content-location", request.relative(&format!("files/{}", file.file_id)));
    if request.wants_digest() { response.header("repr-digest", digests::field(&file.sha256)) } else { response }
}

/// What the creation says of the file: in `Content-Type` and `Content-Disposition`, or in `Upload-Metadata`, which
/// tus-js-client sends in this protocol too.
fn announced(request: &Request) -> Result<Announced, Problem> {
    let metadata = UploadMetadata::read(request.field("upload-metadata").as_deref().unwrap_or_default());
    let metadata = metadata.map_err(|bad| Problem::invalid("upload-metadata", bad.reason()))?;
    let name = match request.field("content-disposition") {
        None => None,
        Some(field) => {
            let disposition = Disposition::of_request(field.as_bytes());
            disposition.map_err(|bad| Problem::invalid("content-disposition", bad.reason()))?.filename
        }
    };
    let name = name.map(|name| fitting(&name)).or_else(|| metadata.filename()).unwrap_or_else(|| UNNAMED.to_owned());
    let field = request.field("content-type").filter(|text| !text.eq_ignore_ascii_case(PARTIAL_UPLOAD));
    let content_type = match media_type::announced(field.as_deref()) {
        None => return Err(Problem::invalid("content-type", media_type::EXPECTED)),
        Some(media_type::DEFAULT) => metadata.media_type().unwrap_or_else(|| media_type::DEFAULT.to_owned()),
        Some(media_type) => media_type.to_owned(),
    };
    let relative_path = metadata.relative_path();
    Ok(Announced { original_filename: name, content_type, relative_path, ..Announced::default() })
}

/// Reads the length of a new upload, in `Upload-Length` or from the length of a content that is the whole.
fn announced_length(request: &Request, complete: bool) -> Result<Option<u64>, Problem> {
    let length = request.field("upload-length").and_then(|field| integer(&field));
    let size = request.content_length()?.filter(|_| complete);
    match (length, size) {
        (Some(length), Some(size)) if length != size => Err(Kind::LENGTH_MISMATCH.into()),
        (length, size) => Ok(length.or(size)),
    }
}

fn mismatch(expected: u64, provided: u64) -> Problem {
    Problem::from(Refusal::Offset(expected)).offsets(expected, provided).header("upload-offset", expected.to_string())
}

fn inconsistent(engine: &Engine, found: &Found) -> Problem {
    let max_size = engine.store.info().max_object_size;
    Problem::from(Kind::LENGTH_MISMATCH).header("upload-limit", upload_limit(max_size, Some(found)))
}

fn unavailable() -> Problem {
    Problem::from(Kind::UNAVAILABLE).header("retry-after", "1".to_owned())
}

/// Refusals in the statuses of the protocol.
fn refused(refusal: Refusal) -> Problem {
    match refusal {
        // A client that is stopped from outside may go on; a 4xx would end its upload.
        Refusal::Busy | Refusal::Store(Error::Interrupted { .. } | Error::Stalled { .. } | Error::NoSpace) => {
            unavailable()
        }
        Refusal::Store(Error::DigestMismatch) => {
            Problem::from(Kind::DIGEST_MISMATCH).header("upload-complete", write_boolean(true).to_owned())
        }
        refusal => refusal.into(),
    }
}
