//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload-12, interop version 9; clients of versions 3 to 8 are
//! served by the same handlers).
//!
//! `Upload-Complete` of a response says whose response it is: true is the answer of the file's own URL, false one of
//! this protocol, after which a client goes on. Passing troubles are 503 without the field.

use crate::{
    engine::{Engine, Found, Parts},
    http::{
        kinds, links,
        resumable_fields::{KNOWN_VERSIONS, Limits, announced, announced_length, completes, served, version},
    },
    policy::upload_fields::{PARTIAL_UPLOAD, integer, write_boolean},
    refusal::Refusal,
    session::{End, Form},
};
use portico_guest::{
    Error, PartOptions, StoredObject,
    exchange::send_interim,
    http::{Kind, Problem, Request, Response, digests},
};

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

/// Returns the field that says whether a response is the final one of an upload.
fn completeness(request: &Request, complete: bool) -> (&'static str, &'static str) {
    match served(request) {
        ..=3 => ("upload-incomplete", write_boolean(!complete)),
        _ => ("upload-complete", write_boolean(complete)),
    }
}

/// Adds whether a response is the final one of an upload.
fn with_completeness(request: &Request, response: Response, complete: bool) -> Response {
    let (name, value) = completeness(request, complete);
    response.header(name, value)
}

/// Adds what a client can learn of the server.
pub(super) fn describe(response: Response, engine: &Engine) -> Response {
    response.header("upload-limit", Limits::load(engine).field(None)).header("accept-patch", PARTIAL_UPLOAD)
}

pub(super) fn create(request: &Request) -> Result<Response, Problem> {
    let engine = Engine::open();
    let limits = Limits::load(&engine);
    // A request that says nothing of the protocol is an ordinary upload of a whole file.
    let complete = completes(request).unwrap_or(true);
    let mut file = announced(request)?;
    let length = announced_length(request, complete)?;
    if length.is_some_and(|length| length > limits.size) {
        return Err(too_large(limits, limits.size, None));
    }
    check_size(request, limits, None)?;
    file.total_size = length;
    file.sha256 = request.repr_digest()?.map(|digest| digest.to_string());
    let found = engine.create(file, Parts::Appended, None).map_err(refused)?;
    let location = request.absolute(&links::upload_path(request, &found.id));
    announce(request, &location, &limits.field(Some(&found)));
    let offset = store(request, &engine, &found, limits, 0, complete)?;
    let response = Response::new(201)
        .header("location", location)
        .header("upload-offset", offset.to_string())
        .header("upload-limit", limits.field(Some(&found)))
        .header("cache-control", "no-store");
    if !complete {
        return Ok(with_completeness(request, response, false));
    }
    let file = complete_at(&engine, &found, offset)?;
    Ok(with_completeness(request, finished_as(request, response, &file), true))
}

/// Tells the place of a new upload before its content has come, by 104 (Upload Resumption Supported), if the client names
/// a version that this portal knows: other clients take 104 for the final response. The host's operator decides whether
/// anything is sent.
fn announce(request: &Request, location: &str, limit: &str) {
    if let Some(number) = version(request).filter(|number| KNOWN_VERSIONS.contains(number)) {
        let number = number.to_string();
        let fields = [("upload-draft-interop-version", &*number), ("location", location), ("upload-limit", limit)];
        send_interim(104, &fields);
    }
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
            if is_whole(request, &engine, &found, tail.offset)? {
                complete_at(&engine, &found, tail.offset)?;
            }
            let response = match engine.length(&found).map_err(refused)? {
                Some(length) => response.header("upload-length", length.to_string()),
                None => response,
            };
            let response = response
                .header("upload-offset", tail.offset.to_string())
                .header("upload-limit", Limits::load(&engine).field(Some(&found)));
            Ok(with_completeness(request, response, false))
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
    let response = response
        .header("upload-offset", file.size.to_string())
        .header("upload-length", file.size.to_string())
        .header("upload-limit", Limits::load(engine).field(Some(found)))
        .header("content-location", links::file(request, &file.file_id));
    Ok(with_completeness(request, response, true))
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
    let limits = Limits::load(&engine);
    check_size(request, limits, Some(&found))?;
    let end = match store(request, &engine, &found, limits, offset, complete) {
        Err(Failed::Complete) => return repeated(request, &engine, &found, offset, complete),
        stored => stored?,
    };
    let response = Response::new(204)
        .header("upload-offset", end.to_string())
        .header("upload-limit", limits.field(Some(&found)))
        .header("cache-control", "no-store");
    if !complete && !is_whole(request, &engine, &found, end)? {
        return Ok(with_completeness(request, response, false));
    }
    let file = complete_at(&engine, &found, end)?;
    Ok(with_completeness(request, finished_as(request, response, &file), true))
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
            Failed::Complete => kinds::SESSION_COMPLETE.into(),
            Failed::Problem(problem) => problem,
        }
    }
}

/// Appends the content of the request at an offset; returns the new one.
fn store(
    request: &Request,
    engine: &Engine,
    found: &Found,
    limits: Limits,
    offset: u64,
    complete: bool,
) -> Result<u64, Failed> {
    let failed = |refusal| match refusal {
        Refusal::Ended(End::Complete) => Failed::Complete,
        Refusal::Offset(at) => mismatch(at, offset).into(),
        refusal => refused(refusal).into(),
    };
    let tail = engine.take_over_at(found, offset).map_err(failed)?;
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
        return engine.must_go_on(&found.session).map(|()| offset).map_err(failed);
    }
    let room = length.unwrap_or(limits.size).saturating_sub(offset);
    let mut options = PartOptions { limit: Some(room.min(limits.append)), ..PartOptions::default() };
    options.expected.size = size;
    request.content_digest(&mut options.expected)?;
    options.keep_prefix = options.expected.sha256.is_none() && options.expected.others.is_empty();
    let put = |number, options| engine.store.put_temp_part(&found.id, number, request.body(), options);
    match engine.append(found, &tail, options, put) {
        // What has arrived is kept. Without Upload-Complete the client asks for the offset and goes on.
        Ok(part) if part.is_prefix => Err(unavailable().into()),
        Ok(part) => Ok(offset + part.size),
        Err(Refusal::Store(Error::TooLarge { .. })) if room > limits.append => {
            Err(too_large(limits, limits.append, Some(found)).into())
        }
        Err(Refusal::Store(Error::TooLarge { .. })) if length.is_some() => {
            // The upload can't become what it was announced to be.
            engine.abort(found).map_err(refused)?;
            Err(inconsistent(engine, found).into())
        }
        Err(Refusal::Store(Error::DigestMismatch)) => {
            Err(Problem::invalid("content-digest", "the content has another digest").into())
        }
        Err(refusal) => Err(failed(refusal)),
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

/// Whether an upload is finished at an offset though its client has not said so. tus-js-client 4.3 (versions 5 and 6)
/// sends `?0` with the last bytes of a file that it reads in pieces, and takes an offset that is the length for the end.
fn is_whole(request: &Request, engine: &Engine, found: &Found, offset: u64) -> Result<bool, Problem> {
    Ok(matches!(served(request), 5 | 6) && engine.length(found).map_err(refused)? == Some(offset))
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
        return Err(Problem::from(kinds::LENGTH_MISMATCH).detail("the upload is finished"));
    }
    let response = Response::new(204).header("upload-offset", offset.to_string()).header("cache-control", "no-store");
    Ok(with_completeness(request, finished_as(request, response, &file), true))
}

/// Adds what a client wants to know of its file.
fn finished_as(request: &Request, response: Response, file: &StoredObject) -> Response {
    let response = response.header("content-location", links::file(request, &file.file_id));
    if request.wants_digest() { response.header("repr-digest", digests::field(&file.sha256)) } else { response }
}

fn mismatch(expected: u64, provided: u64) -> Problem {
    Problem::from(Refusal::Offset(expected))
        .member("expected-offset", expected)
        .member("provided-offset", provided)
        .header("upload-offset", expected.to_string())
}

fn inconsistent(engine: &Engine, found: &Found) -> Problem {
    Problem::from(kinds::LENGTH_MISMATCH).header("upload-limit", Limits::load(engine).field(Some(found)))
}

/// Refuses announced content that is longer than one request may have, before any of it is read.
fn check_size(request: &Request, limits: Limits, found: Option<&Found>) -> Result<(), Problem> {
    match request.content_length()? {
        Some(size) if size > limits.append => Err(too_large(limits, limits.append, found)),
        _ => Ok(()),
    }
}

fn too_large(limits: Limits, limit: u64, found: Option<&Found>) -> Problem {
    Problem::from(Kind::TOO_LARGE).limit(limit).header("upload-limit", limits.field(found))
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
