//! Kinds of problems that only this portal has. Those that every portal has are in the SDK.

use portico_guest::http::Kind;

pub(super) const INCOMPLETE_UPLOAD: Kind =
    Kind::new(400, "/problems/incomplete-upload", "Parts of the file are missing");
pub(super) const LENGTH_MISMATCH: Kind = Kind::new(
    400,
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
    "The length of the upload is another one",
);
pub(super) const OTHER_KIND: Kind = Kind::new(403, "/problems/other-kind", "The upload takes no such content");
pub(super) const PART_CONFLICT: Kind = Kind::new(409, "/problems/part-conflict", "The part exists with other content");
pub(super) const SESSION_COMPLETE: Kind = Kind::new(409, "/problems/session-complete", "The session is complete");
pub(super) const SESSION_BUSY: Kind = Kind::new(409, "/problems/session-busy", "Another finalize is running");
pub(super) const IDEMPOTENCY_KEY_REUSED: Kind =
    Kind::new(409, "/problems/idempotency-key-reused", "The idempotency key was used for another file");
pub(super) const OFFSET_MISMATCH: Kind = Kind::new(
    409,
    "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
    "The upload has another offset",
);
pub(super) const UNSUPPORTED_VERSION: Kind =
    Kind::new(412, "/problems/unsupported-version", "This version of the protocol is not supported");
pub(super) const LOCKED: Kind = Kind::new(423, "/problems/locked", "The upload cannot be looked at now");
/// The status is that of tus 1.0.
pub(super) const CHECKSUM_MISMATCH: Kind =
    Kind::new(460, "/problems/checksum-mismatch", "The content has the wrong checksum");
