//! Upload, download and delete, as nearly every portal does them.

use super::{
    conditions::{Validators, Verdict},
    digests, media_type,
    problem::{Kind, Problem},
    ranges::{self, Selection},
    request::Request,
    response::Response,
};
use crate::{Error, FinalOptions, FinalReader, Store, StoredObject, clock};

/// Stores the body of a request, which the host pulls, as a final object. [`Request::final_options`] makes the options.
///
/// # Errors
/// Those of [`Store::put_final`]. A body that announces more than the store takes is refused before its first byte, and a
/// taken id is 412 where the client sent `If-None-Match`.
pub fn upload(request: &Request, store: &Store, file_id: &str, options: FinalOptions) -> Result<StoredObject, Problem> {
    let limit = store.info().max_object_size;
    // For a body of unknown length the store enforces the limit.
    if options.expected.size.is_some_and(|size| size > limit) {
        return Err(Error::TooLarge { limit }.into());
    }
    store.put_final(file_id, request.body(), options).map_err(|error| match error {
        Error::Conflict if request.conditions().if_none_match.is_some() => Kind::PRECONDITION_FAILED.into(),
        error => error.into(),
    })
}

/// Returns the content of a file: whole, one range, or 304. The host moves the bytes to the client.
///
/// Caches must revalidate, because a file can be deleted. Browsers must not guess its type or run it, because strangers
/// upload it. Add fields to a response with content, whose status is not 304.
///
/// # Errors
/// If a condition does not hold, the range selects nothing, or the content can't be opened.
pub fn download(request: &Request, file: &FinalReader) -> Result<Response, Problem> {
    let object = file.receipt();
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
    let content = file.stream(first..end)?.into_inner();
    let mut response = Response::new(status);
    if status == 206 {
        response = response.header("content-range", ranges::content_range(first, end, object.size));
    }
    Ok(represent(response, object, &validators).stream(content, end - first))
}

/// Deletes a file and returns 204. Of racing requests exactly one succeeds; the others get 410.
///
/// # Errors
/// If no such file exists, or a condition does not hold.
pub fn delete(request: &Request, store: &Store, file_id: &str) -> Result<Response, Problem> {
    let object = store.stat_final(file_id)?;
    let validators = Validators::of(&object, clock::now());
    if request.conditions().verdict(Some(&validators), false) == Verdict::Failed {
        return Err(Kind::PRECONDITION_FAILED.into());
    }
    if store.delete_final(&object.bucket, &object.key)? { Ok(Response::new(204)) } else { Err(Kind::GONE.into()) }
}

/// Adds the fields that a 304 shares with a 200 (RFC 9110, 15.4.5).
fn about(response: Response, validators: &Validators) -> Response {
    response
        .header("etag", validators.etag.clone())
        .header("last-modified", validators.last_modified())
        .header("cache-control", "no-cache")
}

/// Adds the fields that describe the content.
fn represent(response: Response, object: &StoredObject, validators: &Validators) -> Response {
    about(response, validators)
        .header("accept-ranges", "bytes")
        .header("content-type", object.content_type.as_deref().unwrap_or(media_type::DEFAULT))
        .header("repr-digest", digests::field(&object.sha256))
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "sandbox")
}
