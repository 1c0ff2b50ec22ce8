//! A file comes from the server, from where it was cut off.

use super::retry::{Tries, until_done};
use super::target::{PartFile, RemoteFile, local_name};
use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::remote::{ANSWER, Pulse, digest_of_field, empty, file_path};
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

/// Pieces that have arrived and are not written.
const BEHIND: usize = 4;

/// Where a file is to go.
pub enum To {
    /// To standard output, as it comes.
    Stdout,
    /// Under this name, or into the folder that has it under the file's own name; absent: into the folder in which the
    /// process is.
    File(Option<PathBuf>),
}

/// A file that was got.
pub struct Got {
    /// Where it is, unless it went to standard output.
    pub path: Option<PathBuf>,
    /// Its size in bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// Why the content stops to come.
enum Cut {
    /// Nobody writes it any more.
    Writer,
    Error(Error),
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Cut::Error(error)
    }
}

impl Client {
    /// Gets a file. `force` replaces what is there.
    ///
    /// # Errors
    /// [`Error`]. What has arrived until then stays beside the target for a later run, unless it is damaged.
    pub async fn get(&self, id: &str, to: To, force: bool, observer: &dyn Observer) -> Result<Got, Error> {
        FileId::parse(id).map_err(|_| Error::Id(id.to_owned()))?;
        let remote = until_done(&self.patience(), observer, || self.describe(id)).await?;
        let (size, expected) = (remote.size, remote.sha256);
        let path = match to {
            To::Stdout => {
                observer.tell(Event::Begins { size: Some(size), there: 0 });
                let writer = Writer::start(io::stdout(), Sha256::new());
                let unwritable = |cause: io::Error| match cause.kind() {
                    io::ErrorKind::BrokenPipe => Error::ReaderGone,
                    _ => Error::Write { path: PathBuf::from("-"), cause },
                };
                let sha256 = self.fetch(&remote, 0, writer, observer).await?.map_err(unwritable)?;
                observer.tell(Event::Compares);
                if sha256 != expected {
                    return Err(Error::Damaged(id.to_owned()));
                }
                None
            }
            To::File(path) => {
                let target = match path {
                    None => PathBuf::from(local_name(&remote)),
                    Some(folder) if folder.is_dir() => folder.join(local_name(&remote)),
                    Some(path) => path,
                };
                let opened = blocking(move || PartFile::open(target, &remote, force).map(|opened| (opened, remote)));
                let ((part, prefix), remote) = opened.await?;
                observer.tell(Event::Begins { size: Some(size), there: prefix.length });
                let writer = Writer::start(part.writer()?, prefix.sha256);
                let fetched = self.fetch(&remote, prefix.length, writer, observer).await?;
                let sha256 = fetched.map_err(|cause| part.unwritable(cause))?;
                observer.tell(Event::Compares);
                if sha256 != expected {
                    part.discard()?;
                    return Err(Error::Damaged(id.to_owned()));
                }
                Some(blocking(move || part.publish()).await?)
            }
        };
        Ok(Got { path, size, sha256: expected.to_hex() })
    }

    /// What a file is.
    async fn describe(&self, id: &str) -> Result<RemoteFile, Error> {
        let request = self.server.request(Method::HEAD, &file_path(id))?.header(ACCEPT_ENCODING, "identity");
        let response =
            self.server.send(request.body(empty()).expect("a request"), Some(ANSWER), &Pulse::default()).await?;
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

    /// Gets a file from an offset on, and goes on after each cut; answers the digest of all that was written.
    async fn fetch(
        &self,
        remote: &RemoteFile,
        mut at: u64,
        writer: Writer,
        observer: &dyn Observer,
    ) -> Result<io::Result<Digest>, Error> {
        let patience = self.patience();
        let mut tries = Tries::new(&patience, observer);
        while at < remote.size {
            let before = at;
            match self.receive(remote, &mut at, &writer, observer).await {
                Ok(()) | Err(Cut::Writer) => break,
                Err(Cut::Error(error)) => {
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

    /// Gets as much as one answer brings.
    async fn receive(
        &self,
        remote: &RemoteFile,
        at: &mut u64,
        writer: &Writer,
        observer: &dyn Observer,
    ) -> Result<(), Cut> {
        let mut request = self.server.request(Method::GET, &file_path(&remote.id))?.header(ACCEPT_ENCODING, "identity");
        if *at > 0 {
            request = request.header(RANGE, format!("bytes={at}-")).header(IF_RANGE, &*remote.etag);
        }
        let request = request.body(empty()).map_err(|error| self.server.unexpected(error.to_string()))?;
        let response = self.server.send(request, Some(ANSWER), &Pulse::default()).await?;
        let headers = response.headers();
        if text(headers, &ETAG) != Some(&*remote.etag) {
            return Err(self.server.unexpected("the file has become another one").into());
        }
        let begins = match response.status() {
            StatusCode::PARTIAL_CONTENT => text(headers, &CONTENT_RANGE).and_then(|text| first_of(text, remote.size)),
            // Who knows no ranges sends what is there already once more.
            _ => Some(0),
        };
        let mut skip = match begins {
            Some(first) if first <= *at => *at - first,
            _ => return Err(self.server.unexpected("another range than was asked for").into()),
        };
        let mut body = response.into_body();
        while let Some(mut bytes) = self.server.next(&mut body).await? {
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= known as u64;
            let new = bytes.split_off(known);
            if new.len() as u64 > remote.size - *at {
                return Err(self.server.unexpected("more than there is of the file").into());
            }
            *at += new.len() as u64;
            writer.pieces.send(new).await.map_err(|_| Cut::Writer)?;
            observer.tell(Event::At(*at));
        }
        if *at < remote.size { Err(self.server.cut_short().into()) } else { Ok(()) }
    }
}

/// A thread that writes what has arrived, and takes its digest.
struct Writer {
    pieces: mpsc::Sender<Bytes>,
    end: oneshot::Receiver<io::Result<Digest>>,
}

impl Writer {
    /// Not one of the runtime's threads, which would wait at the end for a reader of standard output that never comes.
    fn start(mut to: impl Write + Send + 'static, mut sha256: Sha256) -> Writer {
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
            // Who does not wait for the end has another error to tell.
            let _ = ended.send(written.map(|()| sha256.finish()));
        });
        Writer { pieces, end }
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

/// Where a range begins that reaches to the end of so many bytes.
fn first_of(content_range: &str, size: u64) -> Option<u64> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (total.parse() == Ok(size) && last.checked_add(1) == Some(size) && first <= last).then_some(first)
}

/// The name that a `Content-Disposition` tells (RFC 6266), the extended form first. Quoted pairs do not occur.
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
