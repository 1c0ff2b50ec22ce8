//! `std::io` over the streams of WASI.
//!
//! Invariant: a failure is sticky. A WASI stream reports its failure once and then looks finished; here each later call
//! fails with the same error, so no caller can take a broken stream for a complete one.

use crate::{
    Error,
    sys::{InputStream, IoError, OutputStream, StreamError, await_room, error_of},
};
use std::{
    io::{self, BufRead, Read, Write},
    marker::PhantomData,
};

/// The most bytes that one read asks of the host.
const READ_MAX: u64 = 64 << 10;

/// [`Read`] and [`BufRead`] over an input stream: content of a store, a request's body, standard input.
///
/// The stream has a buffer of at most 64 KiB, so a `BufReader` around it gains nothing.
#[derive(Debug)]
pub struct ReadStream {
    stream: InputStream,
    fetched: Vec<u8>,
    used: usize,
    end: End,
}

#[derive(Debug)]
enum End {
    Ahead,
    Reached,
    Failed(Failure),
}

impl ReadStream {
    /// Creates a reader of `stream`.
    #[must_use]
    pub fn new(stream: InputStream) -> Self {
        ReadStream { stream, fetched: Vec::new(), used: 0, end: End::Ahead }
    }

    /// Returns the stream itself, for the host to pull, as in [`Store::put_final`](crate::Store::put_final). Bytes in
    /// [`ReadStream::buffer`] are lost.
    #[must_use]
    pub fn into_inner(self) -> InputStream {
        self.stream
    }

    /// Returns the bytes that were fetched from the host and not yet read.
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        &self.fetched[self.used..]
    }
}

impl BufRead for ReadStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.fetched.len() {
            match &self.end {
                End::Ahead => {}
                End::Reached => return Ok(&[]),
                End::Failed(failure) => return Err(failure.to_io()),
            }
            match self.stream.blocking_read(READ_MAX) {
                Ok(bytes) => (self.fetched, self.used) = (bytes, 0),
                Err(StreamError::Closed) => self.end = End::Reached,
                Err(StreamError::LastOperationFailed(error)) => self.end = End::Failed(Failure::of(&error)),
            }
        }
        Ok(&self.fetched[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used = (self.used + amount).min(self.fetched.len());
    }
}

impl Read for ReadStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// [`Write`] over an output stream. Written bytes are in flight until [`Write::flush`] returns; for content of a store,
/// `finish` confirms the whole.
///
/// The lifetime is that of the writer which the stream appends to.
#[derive(Debug)]
pub struct Sink<'w> {
    stream: OutputStream,
    failed: Option<Failure>,
    owner: PhantomData<&'w mut ()>,
}

impl<'w> Sink<'w> {
    /// Creates a sink over `stream`.
    #[must_use]
    pub fn new(stream: OutputStream) -> Self {
        Sink { stream, failed: None, owner: PhantomData }
    }

    fn attempt<T>(&mut self, act: impl FnOnce(&OutputStream) -> Result<T, StreamError>) -> io::Result<T> {
        if let Some(failure) = &self.failed {
            return Err(failure.to_io());
        }
        act(&self.stream).map_err(|error| {
            let failure = match error {
                StreamError::Closed => Failure::Closed,
                StreamError::LastOperationFailed(error) => Failure::of(&error),
            };
            self.failed.insert(failure).to_io()
        })
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.attempt(|stream| {
            loop {
                let room = stream.check_write()?;
                if room > 0 {
                    let amount = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
                    return stream.write(&bytes[..amount]).map(|()| amount);
                }
                await_room(stream);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(OutputStream::blocking_flush)
    }
}

/// The failure of a stream, kept for every later call.
#[derive(Clone, Debug)]
enum Failure {
    Storage(Error),
    Closed,
    Foreign(String),
}

impl Failure {
    fn of(error: &IoError) -> Self {
        match error_of(error) {
            Some(error) => Failure::Storage(error.into()),
            None => Failure::Foreign(error.to_debug_string()),
        }
    }

    fn to_io(&self) -> io::Error {
        match self {
            Failure::Storage(error) => error.clone().into(),
            Failure::Closed => io::ErrorKind::BrokenPipe.into(),
            Failure::Foreign(message) => io::Error::other(message.clone()),
        }
    }
}
