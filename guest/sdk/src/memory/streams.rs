//! Streams without a host: over a reader, a buffer, or content in progress.

use super::content::Content;
use crate::{Error, bindings::portico::storage::storage as wit};
use std::{
    fmt,
    io::{self, Cursor, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most bytes that a read returns, and that a write takes.
const CHUNK: u64 = 64 << 10;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of bytes for a store to pull, in native tests. In a component, this name is the `input-stream` of WASI.
///
/// A failure of the reader is the failure of the stream, reported once. [`io::ErrorKind::TimedOut`] is a source that has
/// stalled.
///
/// ```
/// use portico_guest::InputStream;
///
/// let whole = InputStream::from("content");
/// assert_eq!(whole.blocking_read(4).unwrap(), b"cont");
///
/// let broken = std::io::Read::chain(&b"cont"[..], portico_guest::memory::Cut);
/// let broken = InputStream::from_reader(broken);
/// assert_eq!(broken.blocking_read(9).unwrap(), b"cont");
/// assert!(broken.blocking_read(9).is_err());
/// ```
pub struct InputStream {
    reader: Mutex<Option<Box<dyn Read + Send>>>,
    /// Each pollable has a clone.
    pollables: Arc<()>,
}

impl InputStream {
    /// Creates a stream of what a reader returns.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        InputStream { reader: Mutex::new(Some(Box::new(reader))), pollables: Arc::new(()) }
    }

    /// Reads at least one byte and at most `most`, as in a component.
    ///
    /// # Errors
    /// The failure of the reader, once; [`StreamError::Closed`] at the end and after a failure.
    pub fn blocking_read(&self, most: u64) -> Result<Vec<u8>, StreamError> {
        let mut slot = lock(&self.reader);
        let reader = slot.as_mut().ok_or(StreamError::Closed)?;
        let mut bytes = Vec::new();
        if most == 0 {
            return Ok(bytes);
        }
        let mut buffer = vec![0; most.min(CHUNK) as usize];
        let read = loop {
            match reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => {
                *slot = None;
                Err(StreamError::Closed)
            }
            Ok(count) => {
                bytes.extend_from_slice(&buffer[..count]);
                Ok(bytes)
            }
            Err(error) => {
                *slot = None;
                Err(StreamError::LastOperationFailed(IoError(error)))
            }
        }
    }

    /// Reads as [`InputStream::blocking_read`] does, because nothing waits here.
    ///
    /// # Errors
    /// As [`InputStream::blocking_read`].
    pub fn read(&self, most: u64) -> Result<Vec<u8>, StreamError> {
        self.blocking_read(most)
    }

    /// Skips at least one byte and at most `most`, and returns how many.
    ///
    /// # Errors
    /// As [`InputStream::blocking_read`].
    pub fn blocking_skip(&self, most: u64) -> Result<u64, StreamError> {
        self.blocking_read(most).map(|bytes| bytes.len() as u64)
    }

    /// Returns a pollable of this stream. A stream with a pollable can't be handed over.
    pub fn subscribe(&self) -> Pollable {
        Pollable { _stream: self.pollables.clone() }
    }

    /// Returns whether a pollable of this stream exists.
    pub(super) fn has_pollables(&self) -> bool {
        Arc::strong_count(&self.pollables) > 1
    }
}

/// A pollable of a stream, ready at any time. In a component, this is the `pollable` of WASI.
#[derive(Debug)]
pub struct Pollable {
    _stream: Arc<()>,
}

impl Pollable {
    /// Returns at once.
    pub fn block(&self) {}
}

impl fmt::Debug for InputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputStream").finish_non_exhaustive()
    }
}

impl From<Vec<u8>> for InputStream {
    fn from(bytes: Vec<u8>) -> Self {
        InputStream::from_reader(Cursor::new(bytes))
    }
}

impl From<&[u8]> for InputStream {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for InputStream {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// A reader that fails, as a body does whose client has gone.
#[derive(Clone, Copy, Debug)]
pub struct Cut;

impl Read for Cut {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// Why an operation on a stream failed, as in WASI.
#[derive(Debug)]
pub enum StreamError {
    /// The last operation failed. Reported once; the stream is closed afterwards.
    LastOperationFailed(IoError),
    /// The stream has ended, or failed before.
    Closed,
}

/// The failure of a stream. In a component, this name is the `error` of `wasi:io`.
pub struct IoError(io::Error);

impl IoError {
    /// Returns a text for people.
    #[must_use]
    pub fn to_debug_string(&self) -> String {
        self.0.to_string()
    }

    /// Returns whether the source stalled.
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.kind() == io::ErrorKind::TimedOut
    }
}

impl fmt::Debug for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_debug_string())
    }
}

/// Returns the storage error behind a failed stream.
pub(crate) fn error_of(error: &IoError) -> Option<wit::Error> {
    Error::of_io(&error.0).cloned().map(wit::Error::from)
}

/// A stream that bytes are written to, in native tests. In a component, this name is the `output-stream` of WASI.
pub struct OutputStream {
    target: Target,
    /// Whether the failure was reported.
    is_closed: Mutex<bool>,
}

enum Target {
    Content(Arc<Mutex<Content>>),
    Buffer(Arc<Mutex<Vec<u8>>>),
}

impl OutputStream {
    /// Creates a stream that appends to content in progress.
    pub(super) fn of_content(content: Arc<Mutex<Content>>) -> Self {
        OutputStream { target: Target::Content(content), is_closed: Mutex::new(false) }
    }

    /// Creates a stream that appends to a buffer.
    pub(super) fn of_buffer(buffer: Arc<Mutex<Vec<u8>>>) -> Self {
        OutputStream { target: Target::Buffer(buffer), is_closed: Mutex::new(false) }
    }

    /// Returns how many bytes the next write may have.
    ///
    /// # Errors
    /// The failure of an earlier write, once; [`StreamError::Closed`] after it.
    pub fn check_write(&self) -> Result<u64, StreamError> {
        self.write(&[]).map(|()| CHUNK)
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        let added = match &self.target {
            Target::Content(content) => lock(content).add(bytes),
            Target::Buffer(buffer) => {
                lock(buffer).extend_from_slice(bytes);
                Ok(())
            }
        };
        added.map_err(|error| match std::mem::replace(&mut *lock(&self.is_closed), true) {
            true => StreamError::Closed,
            false => StreamError::LastOperationFailed(IoError(Error::from(error).into())),
        })
    }

    /// Returns after all written bytes have arrived.
    ///
    /// # Errors
    /// As [`OutputStream::check_write`].
    pub fn blocking_flush(&self) -> Result<(), StreamError> {
        self.write(&[])
    }
}

impl fmt::Debug for OutputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputStream").finish_non_exhaustive()
    }
}
