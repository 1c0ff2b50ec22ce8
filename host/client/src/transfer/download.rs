//! Downloads a file, and resumes interrupted downloads.

use super::retry::{Tries, retry_until_done};
use super::target::{PartFile, RemoteFile, local_name};
use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::remote::{ANSWER_LIMIT, Pulse, digest_of_field, empty, file_path};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_RANGE, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use portico_store::{Digest, FileId, Sha256};
use std::io::{self, Write};
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Capacity of the queue of received pieces that wait to be written.
const BEHIND: usize = 4;

/// Where a download is written.
pub enum Destination {
    /// Standard output, piece by piece.
    Stdout,
    /// This path. In an existing folder, or without a path in the current one, the file gets its own name.
    File(Option<PathBuf>),
}

/// A finished download.
pub struct Downloaded {
    /// The file's path; absent for standard output.
    pub path: Option<PathBuf>,
    /// The file's size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

/// Why an answer's content was not received to its end.
enum ReceiveError {
    /// The writer thread has ended.
    WriterGone,
    Error(Error),
}

impl From<Error> for ReceiveError {
    fn from(error: Error) -> Self {
        ReceiveError::Error(error)
    }
}

impl Client {
    /// Downloads a file. `force` allows to replace an existing target.
    ///
    /// # Errors
    /// [`Error`]. The received prefix stays beside the target for a later run, unless it is damaged.
    pub async fn get(
        &self,
        id: &str,
        to: Destination,
        force: bool,
        observer: &dyn Observer,
    ) -> Result<Downloaded, Error> {
        FileId::parse(id).map_err(|_| Error::Id(id.to_owned()))?;
        let remote = retry_until_done(&self.patience(), observer, || self.describe(id)).await?;
        let (size, expected) = (remote.size, remote.sha256);
        let path = match to {
            Destination::Stdout => {
                observer.report(Event::Started { size: Some(size), already: 0 });
                let writer = WriterThread::start(io::stdout(), Sha256::new());
                let unwritable = |cause: io::Error| match cause.kind() {
                    io::ErrorKind::BrokenPipe => Error::ReaderGone,
                    _ => Error::Write { path: PathBuf::from("-"), cause },
                };
                let sha256 = self.fetch(&remote, 0, writer, observer).await?.map_err(unwritable)?;
                observer.report(Event::Comparing);
                if sha256 != expected {
                    return Err(Error::Damaged(id.to_owned()));
                }
                None
            }
            Destination::File(path) => {
                let target = match path {
                    None => PathBuf::from(local_name(&remote)),
                    Some(folder) if folder.is_dir() => folder.join(local_name(&remote)),
                    Some(path) => path,
                };
                let opened = blocking(move || PartFile::open(target, &remote, force).map(|opened| (opened, remote)));
                let ((part, prefix), remote) = opened.await?;
                observer.report(Event::Started { size: Some(size), already: prefix.length });
                let writer = WriterThread::start(part.writer()?, prefix.sha256);
                let fetched = self.fetch(&remote, prefix.length, writer, observer).await?;
                let sha256 = fetched.map_err(|cause| part.unwritable(cause))?;
                observer.report(Event::Comparing);
                if sha256 != expected {
                    part.discard()?;
                    return Err(Error::Damaged(id.to_owned()));
                }
                Some(blocking(move || part.publish()).await?)
            }
        };
        Ok(Downloaded { path, size, sha256: expected.to_hex() })
    }

    /// Fetches the description of a file.
    async fn describe(&self, id: &str) -> Result<RemoteFile, Error> {
        let request = self.server.request(Method::HEAD, &file_path(id))?.header(ACCEPT_ENCODING, "identity");
        let response =
            self.server.send(request.body(empty()).expect("a request"), Some(ANSWER_LIMIT), &Pulse::default()).await?;
        let field = |name: HeaderName| text(response.headers(), &name).map(str::to_owned);
        let missing = |what: &str| self.server.unexpected(format!("a file without {what}"));
        Ok(RemoteFile {
            id: id.to_owned(),
            size: field(CONTENT_LENGTH).and_then(|text| text.parse().ok()).ok_or_else(|| missing("a length"))?,
            etag: field(ETAG).filter(|etag| etag.starts_with('"')).ok_or_else(|| missing("a strong ETag"))?,
            sha256: field(REPR_DIGEST)
                .and_then(|text| digest_of_field(&text))
                .ok_or_else(|| missing("a Repr-Digest with sha-256"))?,
            name: field(CONTENT_DISPOSITION).and_then(|text| filename(&text)),
        })
    }

    /// Downloads a file from offset `at`, and resumes after each interruption. Returns the digest of all bytes written.
    async fn fetch(
        &self,
        remote: &RemoteFile,
        mut at: u64,
        writer: WriterThread,
        observer: &dyn Observer,
    ) -> Result<io::Result<Digest>, Error> {
        let patience = self.patience();
        let mut tries = Tries::new(&patience, observer);
        while at < remote.size {
            let before = at;
            match self.receive(remote, &mut at, &writer, observer).await {
                Ok(()) | Err(ReceiveError::WriterGone) => break,
                Err(ReceiveError::Error(error)) => {
                    if at > before {
                        patience.renew();
                        tries = Tries::new(&patience, observer);
                    }
                    tries.again(error).await?;
                }
            }
        }
        Ok(writer.end().await)
    }

    /// Receives the content of one answer.
    async fn receive(
        &self,
        remote: &RemoteFile,
        at: &mut u64,
        writer: &WriterThread,
        observer: &dyn Observer,
    ) -> Result<(), ReceiveError> {
        let mut request = self.server.request(Method::GET, &file_path(&remote.id))?.header(ACCEPT_ENCODING, "identity");
        if *at > 0 {
            request = request.header(RANGE, format!("bytes={at}-")).header(IF_RANGE, &*remote.etag);
        }
        let request = request.body(empty()).map_err(|error| self.server.unexpected(error.to_string()))?;
        let response = self.server.send(request, Some(ANSWER_LIMIT), &Pulse::default()).await?;
        let headers = response.headers();
        if text(headers, &ETAG) != Some(&*remote.etag) {
            return Err(self.server.unexpected("the file has changed").into());
        }
        let begins = match response.status() {
            StatusCode::PARTIAL_CONTENT => text(headers, &CONTENT_RANGE).and_then(|text| first_of(text, remote.size)),
            // A server without range support sends the known prefix again.
            _ => Some(0),
        };
        let mut skip = match begins {
            Some(first) if first <= *at => *at - first,
            _ => return Err(self.server.unexpected("another range than the one requested").into()),
        };
        let mut body = response.into_body();
        while let Some(mut bytes) = self.server.next(&mut body).await? {
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= known as u64;
            let new = bytes.split_off(known);
            if new.len() as u64 > remote.size - *at {
                return Err(self.server.unexpected("more bytes than the file has").into());
            }
            *at += new.len() as u64;
            writer.pieces.send(new).await.map_err(|_| ReceiveError::WriterGone)?;
            observer.report(Event::Transferred(*at));
        }
        if *at < remote.size { Err(self.server.cut_short().into()) } else { Ok(()) }
    }
}

/// A thread that writes received pieces, and hashes them.
struct WriterThread {
    pieces: mpsc::Sender<Bytes>,
    end: oneshot::Receiver<io::Result<Digest>>,
}

impl WriterThread {
    /// Starts the thread. It is not a thread of the runtime, because at the end the runtime would wait for a stalled reader.
    fn start(mut to: impl Write + Send + 'static, mut sha256: Sha256) -> WriterThread {
        let (pieces, mut arrived) = mpsc::channel::<Bytes>(BEHIND);
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            let mut write = || {
                while let Some(piece) = arrived.blocking_recv() {
                    to.write_all(&piece)?;
                    sha256.update(&piece);
                }
                to.flush()
            };
            let written = write();
            drop(arrived);
            // The receiver is gone only if the caller reports another error.
            let _ = ended.send(written.map(|()| sha256.finish()));
        });
        WriterThread { pieces, end }
    }

    async fn end(self) -> io::Result<Digest> {
        drop(self.pieces);
        self.end.await.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the first byte of a range that ends with the file, at `size`.
fn first_of(content_range: &str, size: u64) -> Option<u64> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (total.parse() == Ok(size) && last.checked_add(1) == Some(size) && first <= last).then_some(first)
}

/// Parses the file name of a `Content-Disposition` (RFC 6266), the extended form first. Quoted pairs do not occur.
fn filename(disposition: &str) -> Option<String> {
    let extended = disposition.split(';').find_map(|part| part.trim().strip_prefix("filename*=UTF-8''"));
    if let Some(name) = extended.and_then(|name| percent_decode_str(name).decode_utf8().ok()) {
        return Some(name.into_owned());
    }
    let (_, rest) = disposition.split_once("filename=\"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (disposition, name) in [
            ("attachment; filename=\"a_b\"; filename*=UTF-8''a%20%E2%98%83", Some("a ☃")),
            ("attachment; filename=\"a; b\"", Some("a; b")),
            ("attachment; filename=\"plain\"; filename*=UTF-8''%FF", Some("plain")),
            ("attachment", None),
            ("attachment; filename=\"open", None),
        ] {
            assert_eq!(filename(disposition).as_deref(), name, "{disposition}");
        }
    }

    #[test]
    fn ranges_that_reach_to_the_end() {
        for (range, first) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-9/10", Some(0)),
            ("bytes 5-8/10", None),
            ("bytes 5-9/11", None),
            ("bytes 5-9/*", None),
            ("bytes */10", None),
            ("bytes 9-5/10", None),
            ("5-9/10", None),
        ] {
            assert_eq!(first_of(range, 10), first, "{range}");
        }
    }
}
