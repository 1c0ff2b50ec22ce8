//! tus 1.0.0, with its extensions creation, creation-with-upload, creation-defer-length, expiration, checksum,
//! checksum-trailer, termination, concatenation and concatenation-unfinished.
//!
//! A finished upload is a file: `GET` on its URL returns it, and `Content-Location` leads to it below `/files`.
//! Passing troubles are 503 or 423, because clients give up after other errors; `Upload-Offset` is only on successes and
//! on 409, because some clients take any answer that has it for progress.

use crate::{
    engine::{Engine, Found, Parts},
    http::{
        kinds, links,
        tus_fields::{
            APPENDED, Checksum, NUMBER, announced, check_room, checksum, has_body, is_appended, length, partials,
        },
    },
    policy::{checksum as checksums, upload_fields::decimal},
    refusal::Refusal,
    session::{Concat, End, Form},
};
use portico_guest::{
    Argument, DigestAlgorithm, Error, Expected, PartOptions, StoredObject, TempPart,
    http::{Kind, Problem, Request, Response},
};
use std::time::{Duration, SystemTime};

/// The version of the protocol.
pub(super) const VERSION: &str = "1.0.0";

const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,\
                          termination,concatenation,concatenation-unfinished";

/// Answers a request, with the fields that each response of the protocol has.
pub(super) fn answer(
    request: &Request,
    handler: impl FnOnce(&Request) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let answer = match request.field("tus-resumable").as_deref() {
        Some(VERSION) => handler(request),
        _ => Err(Problem::from(kinds::UNSUPPORTED_VERSION).header("tus-version", VERSION.to_owned())),
    };
    let version = || VERSION.to_owned();
    answer
        .map(|response| response.header("tus-resumable", version()).header("cache-control", "no-store"))
        .map_err(|problem| problem.header("tus-resumable", version()))
}

/// Adds what a client can learn of the server.
pub(super) fn describe(response: Response, max_size: u64) -> Response {
    response
        .header("tus-resumable", VERSION)
        .header("tus-version", VERSION)
        .header("tus-extension", EXTENSIONS)
        .header("tus-max-size", max_size.to_string())
        .header("tus-checksum-algorithm", checksums::ALGORITHMS)
}

pub(super) fn create(request: &Request) -> Result<Response, Problem> {
    let engine = Engine::open();
    let mut file = announced(request)?;
    if let Some(partials) = partials(request)? {
        if request.field("upload-length").is_some() || request.field("upload-defer-length").is_some() {
            return Err(Problem::invalid("upload-length", "the length of a concatenation is that of its uploads"));
        }
        if has_body(request)? {
            return Err(Problem::from(kinds::OTHER_KIND).detail("a concatenation has no content of its own"));
        }
        file.concat = Some(partials);
        let found = engine.concatenate(file).map_err(refused)?;
        // A failure that passes is left to the next request: the client has the upload's URL then.
        let joined = engine.try_join(&found).unwrap_or_default();
        return Ok(begun(request, &found, joined.as_ref()));
    }
    file.total_size = length(request)?;
    let with_content = is_appended(request);
    if !with_content && has_body(request)? {
        return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail(format!("{APPENDED} expected")));
    }
    let limit = engine.store.info().max_object_size;
    check_room(request, file.total_size.unwrap_or(limit))?;
    let found = engine.create(file, Parts::Appended, None).map_err(refused)?;
    if !with_content {
        let is_whole = found.session.total_size == Some(0);
        let finished = if is_whole { finish(&engine, &found)? } else { None };
        return Ok(begun(request, &found, finished.as_ref()));
    }
    let appended = append_to(request, &engine, &found, 0)?;
    let response = begun(request, &found, appended.file.as_ref());
    Ok(response.header("upload-offset", appended.offset.to_string()))
}

pub(super) fn head(request: &Request, id: &str) -> Result<Response, Problem> {
    look(request, id).map_err(|problem| match problem.status() {
        // Clients begin anew after any other error of a HEAD (tus-js-client 4.3.1).
        500.. => Problem::from(kinds::LOCKED).header("retry-after", "1".to_owned()),
        _ => problem,
    })
}

fn look(request: &Request, id: &str) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    let mut response = Response::new(200);
    if let Some(metadata) = &found.session.upload_metadata {
        response = response.header("upload-metadata", metadata.clone());
    }
    match &found.session.concat {
        Some(Concat::Partial) => response = response.header("upload-concat", "partial"),
        Some(Concat::Final { field, .. }) => response = response.header("upload-concat", field.clone()),
        None => {}
    }
    let State { offset, length, file } = state(&engine, &found)?;
    if let Some(offset) = offset {
        response = response.header("upload-offset", offset.to_string());
    }
    response = match length {
        Some(length) => response.header("upload-length", length.to_string()),
        None if found.session.form() == Form::Appended => response.header("upload-defer-length", "1"),
        None => response,
    };
    Ok(match file {
        Some(file) => response.header("content-location", links::file(request, &file.file_id)),
        None => response.header("upload-expires", expires(&found)),
    })
}

/// The state of an upload, as far as it is known.
struct State {
    /// Absent for a concatenation whose uploads are not all complete.
    offset: Option<u64>,
    length: Option<u64>,
    /// The file of an upload that is complete.
    file: Option<StoredObject>,
}

impl State {
    fn of(file: StoredObject) -> State {
        State { offset: Some(file.size), length: Some(file.size), file: Some(file) }
    }
}

/// Looks up the state of an upload. Makes the file if only that is missing.
fn state(engine: &Engine, found: &Found) -> Result<State, Problem> {
    match found.session.form() {
        Form::Numbered(layout) => {
            let received = engine.arrived(found).map_err(refused)?;
            match engine.standing(&found.session).map_err(refused)? {
                standing if standing.end.is_none() => {
                    // The parts at the beginning, which have no gap.
                    let parts = received.runs.first().filter(|[first, _]| *first == 1).map_or(0, |[_, last]| *last);
                    let offset = (u64::from(parts) * layout.part_size).min(layout.total);
                    Ok(State { offset: Some(offset), length: Some(layout.total), file: None })
                }
                standing => standing.file.map(State::of).ok_or_else(|| ended(standing.end)),
            }
        }
        Form::Joined(_) => match engine.try_join(found) {
            Ok(Some(file)) => Ok(State::of(file)),
            Ok(None) => Ok(State { offset: None, length: found.session.total_size, file: None }),
            // One of the uploads is gone, so this one can't be completed any more.
            Err(Refusal::Partial | Refusal::Used) => Err(ended(Some(End::Expired))),
            Err(refusal) => Err(refused(refusal)),
        },
        Form::Appended => match engine.take_over(found) {
            Ok(tail) => {
                let length = engine.length(found).map_err(refused)?;
                if length == Some(tail.offset)
                    && let Some(file) = finish(engine, found)?
                {
                    return Ok(State::of(file));
                }
                Ok(State { offset: Some(tail.offset), length, file: None })
            }
            Err(Refusal::Ended(End::Complete)) => {
                let standing = engine.standing(&found.session).map_err(refused)?;
                standing.file.map(State::of).ok_or_else(|| ended(standing.end))
            }
            Err(refusal) => Err(refused(refusal)),
        },
    }
}

pub(super) fn append(request: &Request, id: &str) -> Result<Response, Problem> {
    if !is_appended(request) {
        return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail(format!("{APPENDED} expected")));
    }
    let offset = request.field("upload-offset").and_then(|field| decimal(&field));
    let offset = offset.ok_or_else(|| Problem::invalid("upload-offset", NUMBER))?;
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    let appended = append_to(request, &engine, &found, offset)?;
    let response = Response::new(204).header("upload-offset", appended.offset.to_string());
    Ok(match &appended.file {
        Some(file) => response.header("content-location", links::file(request, &file.file_id)),
        None => response.header("upload-expires", expires(&found)),
    })
}

pub(super) fn terminate(_: &Request, id: &str) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(id).map_err(refused)?;
    let mut standing = engine.standing(&found.session).map_err(refused)?;
    if standing.end.is_none() {
        match engine.abort(&found) {
            // The last append was faster.
            Err(Refusal::Ended(_)) => standing = engine.standing(&found.session).map_err(refused)?,
            aborted => return aborted.map(|()| Response::new(204)).map_err(refused),
        }
    }
    match standing.file {
        Some(file) if engine.store.delete_final(&file.bucket, &file.key)? => Ok(Response::new(204)),
        // tus-js-client deletes the pieces too when it deletes a file that it uploaded in parallel, and fails after a 404.
        None if standing.end == Some(End::Joined) => Ok(Response::new(204)),
        _ => Err(ended(standing.end)),
    }
}

/// The state of an upload after an append.
struct Appended {
    offset: u64,
    /// The file, if the upload is complete.
    file: Option<StoredObject>,
}

/// Appends the content of the request at an offset. The last append makes the file.
fn append_to(request: &Request, engine: &Engine, found: &Found, offset: u64) -> Result<Appended, Problem> {
    let checksum = checksum(request)?;
    let announced = match request.field("upload-length") {
        None => None,
        Some(field) => Some(decimal(&field).ok_or_else(|| Problem::invalid("upload-length", NUMBER))?),
    };
    let tail = match engine.take_over_at(found, offset) {
        Err(Refusal::Ended(End::Complete)) => return repeated(request, engine, found, offset),
        tail => tail.map_err(refused)?,
    };
    if let Some(length) = announced {
        if length < offset {
            return Err(Problem::invalid("upload-length", format!("the upload has {offset} bytes already")));
        }
        engine.set_length(found, length).map_err(refused)?;
    }
    let length = engine.length(found).map_err(refused)?;
    let limit = length.unwrap_or(engine.store.info().max_object_size).saturating_sub(offset);
    check_room(request, limit)?;
    let size = request.content_length()?;
    let mut options = PartOptions { limit: Some(limit), ..PartOptions::default() };
    options.expected.size = size;
    let appended = if size == Some(0) && matches!(checksum, Checksum::None) {
        engine.must_go_on(&found.session).map(|()| offset)
    } else {
        let by_trailer = matches!(checksum, Checksum::Trailer);
        match checksum {
            Checksum::None => options = options.keep_prefix(),
            Checksum::Field(expected) => options.expected = Expected { size, ..expected },
            Checksum::Trailer => {}
        }
        let part = engine.append(found, &tail, options, |number, options| match by_trailer {
            true => checked_by_trailer(request, engine, &found.id, number, options),
            false => engine.store.put_temp_part(&found.id, number, request.body(), options),
        });
        match part {
            // What has arrived is kept; the client asks how much that is.
            Ok(part) if part.is_prefix => {
                return Err(Problem::from(Kind::UNAVAILABLE).header("retry-after", "0".to_owned()));
            }
            part => part.map(|part| offset + part.size),
        }
    };
    let offset = match appended {
        Err(Refusal::Ended(End::Complete)) => return complete_at(engine, found, offset),
        appended => appended.map_err(refused)?,
    };
    let file = if length == Some(offset) { finish(engine, found)? } else { None };
    Ok(Appended { offset, file })
}

/// Stores content whose checksum comes after it.
fn checked_by_trailer(
    request: &Request,
    engine: &Engine,
    session: &str,
    number: u32,
    mut options: PartOptions,
) -> Result<TempPart, Error> {
    options.compute =
        vec![DigestAlgorithm::Md5, DigestAlgorithm::Sha1, DigestAlgorithm::Sha512, DigestAlgorithm::Crc32c];
    options.want_sha256 = true;
    let mut writer = engine.store.create_temp_part(session, number, options)?;
    writer.pull(request.body())?;
    let mut expected = Expected::default();
    let is_valid = request.trailer("upload-checksum").is_some_and(|field| checksums::expect(&field, &mut expected));
    if !is_valid {
        return Err(Error::InvalidArgument(Argument::Expected));
    }
    writer.finish(expected)
}

/// Answers an append to an upload whose file exists: the client may have lost the answer to the last one.
fn repeated(request: &Request, engine: &Engine, found: &Found, offset: u64) -> Result<Appended, Problem> {
    let appended = complete_at(engine, found, offset)?;
    check_room(request, 0)?;
    // Reading the body also makes the host send 100 Continue. Without it tus-java-client takes the answer for a failure.
    if request.content_length()?.is_none() && !request.has_no_content() {
        return Err(Problem::from(Kind::TOO_LARGE).limit(0));
    }
    Ok(appended)
}

/// The state of an upload whose file exists, for an append at an offset.
fn complete_at(engine: &Engine, found: &Found, offset: u64) -> Result<Appended, Problem> {
    let Some(file) = engine.standing(&found.session).map_err(refused)?.file else { return Err(ended(None)) };
    if offset == file.size { Ok(Appended { offset, file: Some(file) }) } else { Err(mismatch(file.size)) }
}

/// Makes the file of an upload that is complete, unless it is a piece of another one.
fn finish(engine: &Engine, found: &Found) -> Result<Option<StoredObject>, Problem> {
    if found.session.is_partial() {
        engine.partial_is_complete(found);
        return Ok(None);
    }
    let (file, _) = engine.finalize(found).map_err(refused)?;
    Ok(Some(file))
}

/// The response to a creation.
fn begun(request: &Request, found: &Found, file: Option<&StoredObject>) -> Response {
    let response = Response::new(201).header("location", request.relative(&links::upload_path(request, &found.id)));
    match file {
        Some(file) => response.header("content-location", links::file(request, &file.file_id)),
        None => response.header("upload-expires", expires(found)),
    }
}

fn expires(found: &Found) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(found.session.expires_at))
}

fn mismatch(offset: u64) -> Problem {
    Problem::from(Refusal::Offset(offset)).header("upload-offset", offset.to_string())
}

fn ended(end: Option<End>) -> Problem {
    match end {
        Some(End::Expired) => Refusal::Ended(End::Expired).into(),
        // 404 rather than 410: clients know both, and the end-to-end test of tus-js-client expects 404.
        _ => Kind::NOT_FOUND.into(),
    }
}

/// Refusals in the statuses of the protocol.
fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Ended(end) => ended(Some(end)),
        Refusal::Offset(offset) => mismatch(offset),
        Refusal::Busy => Problem::from(kinds::LOCKED).header("retry-after", "1".to_owned()),
        Refusal::TooLarge(limit) => Problem::from(Kind::TOO_LARGE).limit(limit),
        Refusal::Store(Error::DigestMismatch) => kinds::CHECKSUM_MISMATCH.into(),
        Refusal::Store(Error::InvalidArgument(Argument::Expected)) => {
            Problem::invalid("upload-checksum", "the trailer must have an algorithm and a digest in base64")
        }
        // A request that was ended from outside. Clients give up after a 4xx.
        Refusal::Store(Error::Interrupted { .. } | Error::Stalled { .. }) => {
            Problem::from(Kind::UNAVAILABLE).header("retry-after", "0".to_owned())
        }
        refusal => refusal.into(),
    }
}
