//! `std::io` over the streams of WASI.
//!
//! A WASI stream reports its failure once and then looks finished. Here a failure stays: each later call fails
//! with it again, so no caller can take a broken stream for a complete one.

use crate::{
    Error,
    bindings::{
        portico::storage::storage,
        wasi::io::{
            error::Error as WasiError,
            streams::{InputStream, OutputStream, StreamError},
        },
    },
};
use std::{
    io::{self, BufRead, Read, Write},
    marker::PhantomData,
};

/// Bytes that one read asks of the host at most.
const READ_MAX: u64 = 64 << 10;

/// [`Read`] and [`BufRead`] over an input stream: content of a store, a request's body, standard input.
///
/// It keeps what it fetched and has not handed out, at most 64 KiB, so wrapping it in a `BufReader` gains nothing.
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
    /// Reads from `stream`.
    #[must_use]
    pub fn new(stream: InputStream) -> Self {
        ReadStream { stream, fetched: Vec::new(), used: 0, end: End::Ahead }
    }

    /// The stream itself, to hand it over to the host: [`Store::put_final`](crate::Store::put_final) and others.
    /// Bytes that were fetched and not yet handed out, see [`ReadStream::buffer`], are lost to it.
    #[must_use]
    pub fn into_inner(self) -> InputStream {
        self.stream
    }

    /// What was fetched and not yet handed out.
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

/// [`Write`] over an output stream. What it took is on its way; only [`Write::flush`] says that it arrived, and
/// for content of a store `finish` says it for the whole.
///
/// The lifetime is that of what must not move on while the stream is open: the writer that it appends to.
#[derive(Debug)]
pub struct Sink<'w> {
    stream: OutputStream,
    failed: Option<Failure>,
    owner: PhantomData<&'w mut ()>,
}

impl<'w> Sink<'w> {
    /// Writes to `stream`.
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
                stream.subscribe().block();
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(OutputStream::blocking_flush)
    }
}

/// How a stream failed, kept for every later call.
#[derive(Clone, Debug)]
enum Failure {
    Storage(Error),
    Closed,
    Foreign(String),
}

impl Failure {
    fn of(error: &WasiError) -> Self {
        match storage::error_of(error) {
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
