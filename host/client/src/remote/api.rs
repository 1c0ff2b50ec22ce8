//! What is said to a portal about sessions and files, and what it answers.

use super::server::{self, ANSWER, Body, Pulse, empty, full};
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

/// The digest of what a request carries (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// A file that the server has.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Receipt {
    /// The id of the file.
    pub file_id: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// The name that its sender gave; it may hold any character.
    #[serde(default)]
    pub original_filename: String,
    /// When it came to exist (RFC 3339).
    #[serde(default)]
    pub created_at: String,
    /// What else the server tells of it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A part on its way.
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) range: Range<u64>,
    pub(crate) sha256: Digest,
    pub(crate) body: Body,
}

impl Part {
    pub(crate) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// What a file is said to be when its session begins.
#[derive(Serialize)]
pub(crate) struct Announced<'a> {
    pub(crate) original_filename: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) total_size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunk_size_bytes: Option<u64>,
    pub(crate) idempotency_key: &'a str,
}

/// How a session stands.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) session_id: String,
    pub(crate) status: Status,
    pub(crate) total_size_bytes: u64,
    /// Size of each part but the last, in bytes.
    pub(crate) chunk_size_bytes: u64,
    pub(crate) total_parts: u32,
    /// Numbers of parts as runs, both ends included.
    pub(crate) received_parts: Vec<[u32; 2]>,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Init,
    InProgress,
    Complete,
    Failed,
    Aborted,
}

/// A page of files.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) files: Vec<Receipt>,
    pub(crate) next: Option<String>,
}

impl Session {
    /// Whether parts can be put.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.status, Status::Init | Status::InProgress)
    }

    /// Whether the session is for `size` bytes, in parts that a store can assemble, with its runs of parts in order.
    fn makes_sense(&self, size: u64) -> bool {
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
    /// Begins a session, or finds the one that the key has begun.
    pub(crate) async fn begin(&self, announced: &Announced<'_>) -> Result<Session, Error> {
        let document = serde_json::to_vec(announced).expect("a document of texts and numbers");
        let request = self.server.request(Method::POST, "/uploads/sessions")?;
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
        let request = request.body(full(document)).expect("a request");
        let session: Session = self.server.exchange(request, Some(ANSWER), &Pulse::default()).await?;
        self.expect_whole(&session, announced.total_size_bytes)?;
        Ok(session)
    }

    /// How a session stands now.
    pub(crate) async fn look(&self, session: &Session) -> Result<Session, Error> {
        let seen: Session = self.server.ask(Method::GET, &session.path()).await?;
        self.expect_whole(&seen, session.total_size_bytes)?;
        let same = seen.session_id == session.session_id && seen.chunk_size_bytes == session.chunk_size_bytes;
        if same { Ok(seen) } else { Err(self.server.unexpected("a session has become another one")) }
    }

    /// Checks a session, because its numbers decide which bytes are read and how many parts are kept in memory.
    fn expect_whole(&self, session: &Session, size: u64) -> Result<(), Error> {
        if session.makes_sense(size) {
            return Ok(());
        }
        Err(self.server.unexpected("a session of another file than was announced"))
    }

    /// Sends a part.
    pub(crate) async fn put_part(&self, session: &Session, part: Part, pulse: &Pulse) -> Result<(), Error> {
        let path = format!("{}/parts/{}", session.path(), part.number);
        let request = self.server.request(Method::PUT, &path)?;
        let request = request.header(CONTENT_LENGTH, part.size()).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_DIGEST, digest_field(&part.sha256));
        let request = request.body(part.body).expect("a request");
        self.server.exchange::<Value>(request, Some(server::STANDSTILL), pulse).await.map(drop)
    }

    /// Makes the file of a session whose parts are there, or tells of it again.
    pub(crate) async fn finalize(&self, session: &Session) -> Result<Receipt, Error> {
        let request = self.server.request(Method::POST, &format!("{}/finalize", session.path()))?;
        let request = request.header(CONTENT_LENGTH, 0).header(ACCEPT, "application/json");
        // It takes as long as it takes. A connection that is dead is found out beneath.
        let receipt = self.server.exchange(request.body(empty()).expect("a request"), None, &Pulse::default()).await?;
        self.expect_receipt(receipt)
    }

    /// Checks the id of a receipt, because the id becomes a part of paths.
    pub(crate) fn expect_receipt(&self, receipt: Receipt) -> Result<Receipt, Error> {
        let is_plain = FileId::parse(&receipt.file_id).is_ok();
        if is_plain { Ok(receipt) } else { Err(self.server.unexpected("a file whose id is none")) }
    }

    /// Gives a session up, with its parts.
    pub(crate) async fn abort(&self, session: &Session) -> Result<(), Error> {
        self.remove(&session.path()).await
    }

    /// Deletes a file, once.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), Error> {
        self.remove(&file_path(id)).await
    }

    async fn remove(&self, path: &str) -> Result<(), Error> {
        let request = self.server.request(Method::DELETE, path)?.body(empty()).expect("a request");
        self.server.send(request, Some(ANSWER), &Pulse::default()).await.map(drop)
    }

    /// A page of the files.
    pub(crate) async fn page(&self, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        let mut path = format!("/files?limit={limit}");
        if let Some(after) = after {
            path += &format!("&after={}", encode(after));
        }
        let page: Page = self.server.ask(Method::GET, &path).await?;
        if page.next.as_ref().is_some_and(|next| next.len() > CURSOR_MAX) {
            return Err(self.server.unexpected(format!("a cursor of more than {CURSOR_MAX} bytes")));
        }
        Ok(page)
    }
}

impl Error {
    /// Whether it says that a session, or a file, is not there, or not any more.
    pub(crate) fn is_absent(&self) -> bool {
        self.is_status(StatusCode::NOT_FOUND) || self.is_status(StatusCode::GONE)
    }
}

/// The path of a file.
pub(crate) fn file_path(id: &str) -> String {
    format!("/files/{}", encode(id))
}

/// One segment of a path, or a value of a query.
pub(crate) fn encode(text: &str) -> String {
    // A proxy may take encoded dots for what they stand for, and dashes and such need no encoding.
    const PLAIN: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A SHA-256 as a digest field has it.
fn digest_field(sha256: &Digest) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256.0))
}

/// The SHA-256 of a digest field.
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
    fn a_session_makes_sense_or_is_none() {
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
            assert!(session(size, part_size, parts, runs).makes_sense(size), "{size} {part_size} {parts} {runs:?}");
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
            // The same parts again and again.
            (95, 10, 10, &[[1, 10], [1, 10]]),
            (95, 10, 10, &[[2, 3], [1, 1]]),
        ] {
            assert!(!session(size, part_size, parts, runs).makes_sense(size), "{size} {part_size} {parts} {runs:?}");
        }
        assert!(!session(95, 10, 10, &[]).makes_sense(94));
        assert!(!Session { session_id: "../x".to_owned(), ..session(95, 10, 10, &[]) }.makes_sense(95));
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
