//! The header fields of Resumable Uploads for HTTP: what a request says of its protocol, its file and its length.

use crate::{
    engine::{Engine, Found},
    http::kinds,
    policy::{
        announced_name::Disposition,
        upload_fields::{INTEROP_VERSION, PARTIAL_UPLOAD, boolean, integer, limits},
        upload_metadata::{UploadMetadata, fitting},
    },
    session::{Announced, BegunBy},
    settings::Settings,
};
use portico_guest::{
    clock,
    http::{Problem, Request, media_type},
};
use std::ops::RangeInclusive;

/// The name of a file whose client gave none.
const UNNAMED: &str = "upload";

/// The interop versions whose clients understand this portal.
pub(super) const KNOWN_VERSIONS: RangeInclusive<u64> = 3..=INTEROP_VERSION;

/// The limits of uploads, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of a file.
    pub(super) size: u64,
    /// Of the content of one request; `u64::MAX` if only a file has a limit.
    pub(super) append: u64,
}

impl Limits {
    pub(super) fn load(engine: &Engine) -> Limits {
        let append = match Settings::load().append_size_max {
            0 => u64::MAX,
            max => max,
        };
        Limits { size: engine.store.info().max_object_size, append }
    }

    /// Writes `Upload-Limit`, with the time that an upload has left. `min-size` is there because the field must not be
    /// empty.
    pub(super) fn field(self, found: Option<&Found>) -> String {
        let append = (self.append < u64::MAX).then_some(("max-append-size", self.append));
        let age = found.map(|found| ("max-age", found.session.expires_at.saturating_sub(clock::now_ms()) / 1_000));
        let sizes = [("max-size", self.size), ("min-size", 0)];
        limits(&sizes.into_iter().chain(append).chain(age).collect::<Vec<_>>())
    }
}

/// Whether a request speaks this protocol at a URL where others are spoken too.
pub(super) fn is_spoken(request: &Request) -> bool {
    version(request).is_some()
        || completes(request).is_some()
        || request.field("content-type").is_some_and(|text| text.eq_ignore_ascii_case(PARTIAL_UPLOAD))
}

pub(super) fn version(request: &Request) -> Option<u64> {
    request.field("upload-draft-interop-version").and_then(|field| integer(&field))
}

/// The version by which a request is served.
pub(super) fn served(request: &Request) -> u64 {
    version(request).unwrap_or(INTEROP_VERSION).min(INTEROP_VERSION)
}

/// Whether the request has the last bytes of its upload, if it says.
pub(super) fn completes(request: &Request) -> Option<bool> {
    let field = |name| request.field(name).and_then(|field| boolean(&field));
    field("upload-complete").or_else(|| {
        // Version 3 has the opposite.
        field("upload-incomplete").filter(|_| version(request) == Some(3)).map(|incomplete| !incomplete)
    })
}

/// What the creation says of the file: in `Content-Type` and `Content-Disposition`, or in `Upload-Metadata`, which
/// tus-js-client sends in this protocol too.
pub(super) fn announced(request: &Request) -> Result<Announced, Problem> {
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
    let begun_by = BegunBy::Resumable;
    Ok(Announced { original_filename: name, content_type, relative_path, begun_by, ..Announced::default() })
}

/// Reads the length of a new upload, in `Upload-Length` or from the length of a content that is the whole.
pub(super) fn announced_length(request: &Request, complete: bool) -> Result<Option<u64>, Problem> {
    let length = request.field("upload-length").and_then(|field| integer(&field));
    let size = request.content_length()?.filter(|_| complete);
    match (length, size) {
        (Some(length), Some(size)) if length != size => Err(kinds::LENGTH_MISMATCH.into()),
        (length, size) => Ok(length.or(size)),
    }
}
