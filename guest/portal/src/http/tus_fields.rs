//! The header fields of tus 1.0.0: what a request says of its file, its length and its checksum.

use crate::{
    limits::{CONCAT_MAX, UPLOAD_CONCAT_MAX},
    policy::{checksum, upload_fields::decimal, upload_metadata::UploadMetadata},
    session::{Announced, BegunBy, Concat},
};
use portico_guest::{
    Expected,
    http::{Kind, Problem, Request, media_type},
};

/// The media type of appended content.
pub(super) const APPENDED: &str = "application/offset+octet-stream";

/// The name of a file whose client gave none.
const UNNAMED: &str = "upload";

pub(super) const NUMBER: &str = "a whole number from 0 to 2^63 - 1 expected";

/// What the creation says of the file.
pub(super) fn announced(request: &Request) -> Result<Announced, Problem> {
    let field = request.field("upload-metadata");
    let metadata = UploadMetadata::read(field.as_deref().unwrap_or_default());
    let metadata = metadata.map_err(|bad| Problem::invalid("upload-metadata", bad.reason()))?;
    Ok(Announced {
        original_filename: metadata.filename().unwrap_or_else(|| UNNAMED.to_owned()),
        content_type: metadata.media_type().unwrap_or_else(|| media_type::DEFAULT.to_owned()),
        relative_path: metadata.relative_path(),
        upload_metadata: field,
        begun_by: BegunBy::Tus,
        concat: request.field("upload-concat").filter(|field| field == "partial").map(|_| Concat::Partial),
        ..Announced::default()
    })
}

/// Reads the length of a new upload; `None` if it is to follow.
pub(super) fn length(request: &Request) -> Result<Option<u64>, Problem> {
    match (request.field("upload-length"), request.field("upload-defer-length").as_deref()) {
        (Some(field), None) => {
            let length = decimal(&field).ok_or_else(|| Problem::invalid("upload-length", NUMBER))?;
            Ok(Some(length))
        }
        (None, Some("1")) => Ok(None),
        (None, Some(_)) => Err(Problem::invalid("upload-defer-length", "1 expected")),
        (Some(_), Some(_)) => Err(Problem::invalid("upload-length", "not together with Upload-Defer-Length")),
        (None, None) => Err(Problem::invalid("upload-length", "required, or Upload-Defer-Length")),
    }
}

/// Reads the uploads that a new one consists of; `None` if it is no concatenation.
pub(super) fn partials(request: &Request) -> Result<Option<Concat>, Problem> {
    let Some(field) = request.field("upload-concat") else { return Ok(None) };
    let invalid = |detail: String| Problem::invalid("upload-concat", detail);
    let urls = match field.strip_prefix("final;") {
        None if field == "partial" => return Ok(None),
        None => return Err(invalid("partial, or final with URLs expected".to_owned())),
        Some(urls) => urls,
    };
    // The id is the last segment: the server has no other uploads, and does not know all prefixes of its URLs.
    let id = |url: &str| url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    let partials: Vec<String> = urls.split_ascii_whitespace().filter_map(id).collect();
    if partials.is_empty() || partials.len() > CONCAT_MAX || field.len() > UPLOAD_CONCAT_MAX {
        return Err(invalid(format!("1 to {CONCAT_MAX} URLs expected")));
    }
    Ok(Some(Concat::Final { partials, field }))
}

/// What the client says to check its content by.
pub(super) enum Checksum {
    None,
    Field(Expected),
    Trailer,
}

pub(super) fn checksum(request: &Request) -> Result<Checksum, Problem> {
    if let Some(field) = request.field("upload-checksum") {
        let mut expected = Expected::default();
        return match checksum::expect(&field, &mut expected) {
            true => Ok(Checksum::Field(expected)),
            false => {
                let detail = format!("one of {} and a digest in base64 expected", checksum::ALGORITHMS);
                Err(Problem::invalid("upload-checksum", detail))
            }
        };
    }
    let trailers = request.field("trailer").unwrap_or_default();
    let has_trailer = trailers.split(',').any(|name| name.trim().eq_ignore_ascii_case("upload-checksum"));
    Ok(if has_trailer { Checksum::Trailer } else { Checksum::None })
}

pub(super) fn is_appended(request: &Request) -> bool {
    request.field("content-type").is_some_and(|text| text.trim().eq_ignore_ascii_case(APPENDED))
}

/// Whether the request announces content.
pub(super) fn has_body(request: &Request) -> Result<bool, Problem> {
    Ok(request.content_length()?.is_some_and(|length| length > 0))
}

/// Refuses announced content that is longer than the room for it, before any of it is read.
pub(super) fn check_room(request: &Request, room: u64) -> Result<(), Problem> {
    match request.content_length()? {
        Some(length) if length > room => Err(Problem::from(Kind::TOO_LARGE).limit(room)),
        _ => Ok(()),
    }
}
