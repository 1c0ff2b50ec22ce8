//! The source file of an upload: its identity, its changes and its content.

use crate::error::{BoxError, Error, Unreadable};
use crate::limits::CHUNK;
use crate::remote::{OutgoingBody, Pulse};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use portico_store::Sha256;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// An open source file, with its metadata at the time of opening.
pub(crate) struct UploadFile {
    pub(crate) path: PathBuf,
    file: File,
    stamp: Stamp,
}

/// Identifies a version of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl UploadFile {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<UploadFile, Error> {
        let unreadable = |cause: io::Error| Error::Read { path: path.to_owned(), cause: Arc::new(cause) };
        // Non-blocking, so that opening a pipe without a writer does not hang.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile(path.to_owned()));
        }
        Ok(UploadFile { path: path.to_owned(), file, stamp: Stamp::from(&metadata) })
    }

    pub(crate) fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Returns the last component of the path.
    pub(crate) fn name(&self) -> Result<&str, Error> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.ok_or_else(|| Error::NoName(self.path.clone()))
    }

    /// Returns the idempotency key of an attempt: equal for the same unchanged file sent under the same name, and for nothing
    /// else. The key is a digest, so that the server learns no path. It does not depend on the server's address, because one
    /// store may have several.
    pub(crate) fn key(&self, sent_as: &[&str], attempt: u32) -> Result<String, Error> {
        let path = self.path.canonicalize().map_err(|cause| self.unreadable(cause))?;
        let Stamp { device, inode, size, modified: (seconds, nanoseconds) } = self.stamp;
        let stamp = format!("{device} {inode} {size} {seconds} {nanoseconds} {attempt}");
        let mut sha256 = Sha256::new();
        for piece in [b"portico put".as_slice(), path.as_os_str().as_encoded_bytes(), stamp.as_bytes()]
            .into_iter()
            .chain(sent_as.iter().map(|text| text.as_bytes()))
        {
            sha256.update(&(piece.len() as u64).to_be_bytes());
            sha256.update(piece);
        }
        Ok(sha256.finish().to_hex())
    }

    /// Checks that the file has not changed since it was opened.
    pub(crate) fn unchanged(&self) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(|cause| self.unreadable(cause))?;
        if Stamp::from(&metadata) == self.stamp { Ok(()) } else { Err(Error::Changed(self.path.clone())) }
    }

    /// Checks that the file ends where its size says. Files of procfs have size 0.
    pub(crate) async fn ends(self: &Arc<Self>) -> Result<(), Error> {
        let source = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut byte = [0];
            loop {
                match source.file.read_at(&mut byte, source.size()) {
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                    read => return read,
                }
            }
        });
        let read = read.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        match read.map_err(|cause| self.unreadable(cause))? {
            0 => Ok(()),
            _ => Err(self.false_size(true)),
        }
    }

    /// Returns the error for a file of a wrong size. If the metadata changed too, the file was changed.
    fn false_size(&self, more: bool) -> Error {
        let size = || Error::FalseSize { path: self.path.clone(), told: self.size(), more };
        self.unchanged().err().unwrap_or_else(size)
    }

    fn unreadable(&self, cause: io::Error) -> Error {
        Error::Read { path: self.path.clone(), cause: Arc::new(cause) }
    }

    /// Hashes a range, on a blocking thread.
    pub(crate) async fn hash(self: &Arc<Self>, range: Range<u64>, mut sha256: Sha256) -> Result<Sha256, Error> {
        let source = self.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; CHUNK];
            let mut at = range.start;
            while at < range.end {
                let length = (range.end - at).min(CHUNK as u64) as usize;
                source.file.read_exact_at(&mut buffer[..length], at)?;
                sha256.update(&buffer[..length]);
                at += length as u64;
            }
            Ok(sha256)
        });
        let hashed = hashed.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        hashed.map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => self.false_size(false),
            _ => self.unchanged().err().unwrap_or_else(|| self.unreadable(cause)),
        })
    }

    /// Returns a request body with the bytes of a range. `sent` counts the bytes that the connection has taken.
    pub(crate) fn body(self: &Arc<Self>, range: Range<u64>, sent: Arc<Sent>) -> OutgoingBody {
        FileBody { source: self.clone(), left: range, reading: None, sent }.boxed_unsync()
    }
}

/// Counts the bytes of one request that its connection has taken.
pub(crate) struct Sent {
    pub(crate) pulse: Pulse,
    bytes: AtomicU64,
    on_piece: Box<dyn Fn(u64) + Send + Sync>,
}

impl Sent {
    /// Starts at 0. `on_piece` receives the size of each piece.
    pub(crate) fn new(on_piece: impl Fn(u64) + Send + Sync + 'static) -> Sent {
        Sent { pulse: Pulse::default(), bytes: AtomicU64::new(0), on_piece: Box::new(on_piece) }
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.pulse.beat();
        (self.on_piece)(bytes as u64);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A request body with a range of a file. Reads one piece ahead.
struct FileBody {
    source: Arc<UploadFile>,
    /// The range that no read has been started for.
    left: Range<u64>,
    reading: Option<(usize, JoinHandle<io::Result<Bytes>>)>,
    sent: Arc<Sent>,
}

impl FileBody {
    fn read_on(&mut self) {
        let length = (self.left.end - self.left.start).min(CHUNK as u64) as usize;
        if length == 0 {
            return;
        }
        let (source, at) = (self.source.clone(), self.left.start);
        self.left.start += length as u64;
        let reading = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; length];
            source.file.read_exact_at(&mut buffer, at)?;
            Ok(buffer.into())
        });
        self.reading = Some((length, reading));
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.reading.is_none() {
            self.read_on();
        }
        let Some((length, reading)) = &mut self.reading else { return Poll::Ready(None) };
        let length = *length;
        let read = ready!(Pin::new(reading).poll(context)).unwrap_or_else(|panic| Err(io::Error::other(panic)));
        self.reading = None;
        Poll::Ready(Some(match read {
            Ok(bytes) => {
                self.read_on();
                self.sent.add(length);
                Ok(Frame::data(bytes))
            }
            Err(cause) => Err(Unreadable { path: self.source.path.clone(), cause: Arc::new(cause) }.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none() && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let reading = self.reading.as_ref().map_or(0, |(length, _)| *length as u64);
        SizeHint::with_exact(self.left.end - self.left.start + reading)
    }
}
