//! The requests about sessions and files, and their answers.

use super::server::{self, ANSWER_LIMIT, OutgoingBody, Pulse, empty, full};
use crate::client::Client;
use crate::error::Error;
use crate::limits::CURSOR_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method, StatusCode};
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portico_store::limits::ASSEMBLY_PARTS_MAX;
use portico_store::{Digest, FileId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Range;

/// The header with the digest of a request's content (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The server's description of a stored file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Receipt {
    /// The file's id.
    pub file_id: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The file name that the uploader gave; may contain any character.
    #[serde(default)]
    pub original_filename: String,
    /// The creation time (RFC 3339).
    #[serde(default)]
    pub created_at: String,
    /// All other members of the server's document.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A part to send.
pub(crate) struct PartUpload {
    pub(crate) number: u32,
    pub(crate) range: Range<u64>,
    pub(crate) sha256: Digest,
    pub(crate) body: OutgoingBody,
}

impl PartUpload {
    pub(crate) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The description of a file with which its session begins.
#[derive(Serialize)]
pub(crate) struct Announced<'a> {
    pub(crate) original_filename: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) total_size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunk_size_bytes: Option<u64>,
    pub(crate) idempotency_key: &'a str,
}

/// The state of an upload session.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) session_id: String,
    pub(crate) status: Status,
    pub(crate) total_size_bytes: u64,
    /// Size of each part but the last, in bytes.
    pub(crate) chunk_size_bytes: u64,
    pub(crate) total_parts: u32,
    /// Ranges of part numbers, both ends included.
    pub(crate) received_parts: Vec<[u32; 2]>,
}

/// The status of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Init,
    InProgress,
    Complete,
    Failed,
    Aborted,
}

/// One page of the file listing.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) files: Vec<Receipt>,
    pub(crate) next: Option<String>,
}

impl Session {
    /// Reports whether the session still accepts parts.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, Status::Init | Status::InProgress)
    }

    /// Checks the session: `size` bytes, ordered ranges, and parts that a store can assemble.
    fn is_valid(&self, size: u64) -> bool {
        let parts = size.checked_div(self.chunk_size_bytes).map(|_| size.div_ceil(self.chunk_size_bytes));
        let fits = self.total_size_bytes == size
            && parts == Some(self.total_parts.into())
            && self.total_parts as usize <= ASSEMBLY_PARTS_MAX;
        let mut before = 0;
        let ordered = self.received_parts.iter().all(|[first, last]| {
            let follows = before < *first && first <= last;
            before = *last;
            follows
        });
        FileId::parse(&self.session_id).is_ok() && fits && ordered && before <= self.total_parts
    }

    fn path(&self) -> String {
        format!("/uploads/sessions/{}", self.session_id)
    }
}

impl Client {
    /// Creates a session, or finds the one that the idempotency key has created.
    pub(crate) async fn create_session(&self, announced: &Announced<'_>) -> Result<Session, Error> {
        let document = serde_json::to_vec(announced).expect("texts and numbers serialize");
        let request = self.server.request(Method::POST, "/uploads/sessions")?;
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
        let request = request.body(full(document)).expect("a request");
        let session: Session = self.server.exchange(request, Some(ANSWER_LIMIT), &Pulse::default()).await?;
        self.check_session(&session, announced.total_size_bytes)?;
        Ok(session)
    }

    /// Fetches the current state of a session.
    pub(crate) async fn fetch_session(&self, session: &Session) -> Result<Session, Error> {
        let seen: Session = self.server.request_document(Method::GET, &session.path()).await?;
        self.check_session(&seen, session.total_size_bytes)?;
        let same = seen.session_id == session.session_id && seen.chunk_size_bytes == session.chunk_size_bytes;
        if same { Ok(seen) } else { Err(self.server.unexpected("the answer is about another session")) }
    }

    /// Rejects invalid sessions. Their numbers decide which bytes are read, and how much memory is used.
    fn check_session(&self, session: &Session, size: u64) -> Result<(), Error> {
        if session.is_valid(size) {
            return Ok(());
        }
        Err(self.server.unexpected("the session is for another file"))
    }

    /// Uploads a part.
    pub(crate) async fn put_part(&self, session: &Session, part: PartUpload, pulse: &Pulse) -> Result<(), Error> {
        let path = format!("{}/parts/{}", session.path(), part.number);
        let request = self.server.request(Method::PUT, &path)?;
        let request = request.header(CONTENT_LENGTH, part.size()).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_DIGEST, digest_field(&part.sha256));
        let request = request.body(part.body).expect("a request");
        self.server.exchange::<Value>(request, Some(server::STALL_LIMIT), pulse).await.map(drop)
    }

    /// Assembles the file of a complete session, or returns the receipt of an earlier call.
    pub(crate) async fn finalize(&self, session: &Session) -> Result<Receipt, Error> {
        let request = self.server.request(Method::POST, &format!("{}/finalize", session.path()))?;
        let request = request.header(CONTENT_LENGTH, 0).header(ACCEPT, "application/json");
        // Assembly has no time limit here; TCP keep-alive detects a dead connection.
        let receipt = self.server.exchange(request.body(empty()).expect("a request"), None, &Pulse::default()).await?;
        self.expect_receipt(receipt)
    }

    /// Checks the id of a receipt, because the id becomes part of paths.
    pub(crate) fn expect_receipt(&self, receipt: Receipt) -> Result<Receipt, Error> {
        let is_plain = FileId::parse(&receipt.file_id).is_ok();
        if is_plain { Ok(receipt) } else { Err(self.server.unexpected("an invalid file id")) }
    }

    /// Aborts a session, and discards its parts.
    pub(crate) async fn abort(&self, session: &Session) -> Result<(), Error> {
        self.remove(&session.path()).await
    }

    /// Deletes a file, without a retry.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), Error> {
        self.remove(&file_path(id)).await
    }

    async fn remove(&self, path: &str) -> Result<(), Error> {
        let request = self.server.request(Method::DELETE, path)?.body(empty()).expect("a request");
        self.server.send(request, Some(ANSWER_LIMIT), &Pulse::default()).await.map(drop)
    }

    /// Fetches a page of the file listing.
    pub(crate) async fn page(&self, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        let mut path = format!("/files?limit={limit}");
        if let Some(after) = after {
            path += &format!("&after={}", encode(after));
        }
        let page: Page = self.server.request_document(Method::GET, &path).await?;
        if page.next.as_ref().is_some_and(|next| next.len() > CURSOR_MAX) {
            return Err(self.server.unexpected(format!("a cursor of more than {CURSOR_MAX} bytes")));
        }
        Ok(page)
    }
}

impl Error {
    /// Reports whether the session or file does not exist, or no longer exists.
    pub(crate) fn is_absent(&self) -> bool {
        self.is_status(StatusCode::NOT_FOUND) || self.is_status(StatusCode::GONE)
    }
}

/// Returns the path of a file.
pub(crate) fn file_path(id: &str) -> String {
    format!("/files/{}", encode(id))
}

/// Encodes a path segment or a query value.
pub(crate) fn encode(text: &str) -> String {
    // A proxy may normalize encoded dots, and `-`, `_` and `~` need no encoding.
    const PLAIN: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Formats a SHA-256 as a digest field.
fn digest_field(sha256: &Digest) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256.0))
}

/// Parses the SHA-256 of a digest field.
pub(crate) fn digest_of_field(field: &str) -> Option<Digest> {
    let member = field.split(',').find_map(|member| member.trim().strip_prefix("sha-256=:"))?;
    STANDARD.decode(member.strip_suffix(':')?).ok()?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_go_there_and_back() {
        let digest = Digest(std::array::from_fn(|at| at as u8));
        assert_eq!(digest_of_field(&digest_field(&digest)), Some(digest));
        assert_eq!(digest_of_field(&format!("md5=:AAAA:, {}", digest_field(&digest))), Some(digest));
        for other in ["", "sha-256=", "sha-256=::", "sha-256=:AAAA:", "sha-256=:!:", "sha-512=:AAAA:"] {
            assert_eq!(digest_of_field(other), None, "{other}");
        }
    }

    #[test]
    fn sessions_are_validated() {
        let session = |size, part_size, parts, runs: &[[u32; 2]]| Session {
            session_id: "0123456789abcdef0123456789abcdef".to_owned(),
            status: Status::InProgress,
            total_size_bytes: size,
            chunk_size_bytes: part_size,
            total_parts: parts,
            received_parts: runs.to_vec(),
        };
        for (size, part_size, parts, runs) in [
            (0, 10, 0, &[][..]),
            (95, 10, 10, &[]),
            (95, 10, 10, &[[1, 1], [2, 2], [4, 10]]),
            (u64::MAX, u64::MAX, 1, &[[1, 1]]),
            (ASSEMBLY_PARTS_MAX as u64, 1, ASSEMBLY_PARTS_MAX as u32, &[]),
        ] {
            assert!(session(size, part_size, parts, runs).is_valid(size), "{size} {part_size} {parts} {runs:?}");
        }
        for (size, part_size, parts, runs) in [
            (95, 0, 10, &[][..]),
            (95, 10, 9, &[]),
            (95, 10, 11, &[]),
            // More parts than a store assembles.
            (u64::from(u32::MAX), 1, u32::MAX, &[]),
            (ASSEMBLY_PARTS_MAX as u64 + 1, 1, ASSEMBLY_PARTS_MAX as u32 + 1, &[]),
            (95, 10, 10, &[[0, 1]]),
            (95, 10, 10, &[[2, 1]]),
            (95, 10, 10, &[[10, 11]]),
            // The same parts twice.
            (95, 10, 10, &[[1, 10], [1, 10]]),
            (95, 10, 10, &[[2, 3], [1, 1]]),
        ] {
            assert!(!session(size, part_size, parts, runs).is_valid(size), "{size} {part_size} {parts} {runs:?}");
        }
        assert!(!session(95, 10, 10, &[]).is_valid(94));
        assert!(!Session { session_id: "../x".to_owned(), ..session(95, 10, 10, &[]) }.is_valid(95));
    }

    #[test]
    fn what_goes_into_a_path_stays_one_segment() {
        assert_eq!(encode("a-b_c.d~e"), "a-b_c.d~e");
        assert_eq!(encode("a/b?c#d e%"), "a%2Fb%3Fc%23d%20e%25");
    }

    #[test]
    fn a_receipt_keeps_what_it_does_not_know() {
        let told = r#"{"file_id":"f","size_bytes":1,"sha256":"00","original_filename":"n","created_at":"t","key":"k","new":[1]}"#;
        let receipt: Receipt = serde_json::from_str(told).unwrap();
        assert_eq!(serde_json::to_value(&receipt).unwrap(), serde_json::from_str::<Value>(told).unwrap());
    }
}
