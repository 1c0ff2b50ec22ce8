//! Forms as they arrive: the parts of `multipart/form-data`, one piece of content at a time.
//!
//! `multer` finds the boundaries. It reads ahead for as long as its source is ready, so the source here is ready only
//! after `multer` could not go on with what it has.
//!
//! Invariant: the guest holds at most one read and one unfinished header section, preamble or boundary; content passes
//! through as it comes.

use crate::limits::{FORM_HEAD_MAX, FORM_READ};
use bytes::Bytes;
use futures_util::Stream;
use multer::{Field, Multipart};
use portico_guest::{
    InputStream, StreamError,
    http::{Kind, Problem, is_stalled},
};
use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

/// A form that is being read.
pub(super) struct FormReader {
    source: Arc<Source>,
    multipart: Multipart<'static>,
}

/// A part of a form. Read its content to the end before the next part.
pub(super) struct Part<'f> {
    source: &'f Source,
    field: Field<'static>,
}

/// The body of the request.
struct Source {
    stream: InputStream,
    /// Whether the parser needs more bytes.
    is_wanted: AtomicBool,
    /// Bytes that were read since the parser last returned something.
    unparsed: AtomicUsize,
    /// Whether the body has ended.
    has_ended: AtomicBool,
}

/// Why no more bytes come.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The client stopped sending.
    Stalled,
    /// The body was cut off.
    Interrupted,
    /// Too many bytes are neither content nor the end of a header section.
    HeadTooLarge,
}

impl FormReader {
    /// Begins to read the form in `stream`.
    pub(super) fn new(stream: InputStream, boundary: &str) -> FormReader {
        let source = Arc::new(Source {
            stream,
            is_wanted: AtomicBool::new(false),
            unparsed: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
        });
        FormReader { multipart: Multipart::new(Feed(source.clone()), boundary), source }
    }

    /// Reads up to the next part; `None` after the last one.
    ///
    /// # Errors
    /// If the form is malformed or incomplete, or a header section is too large.
    pub(super) fn next(&mut self) -> Result<Option<Part<'_>>, Problem> {
        let FormReader { source, multipart } = self;
        let next = source.drive(|cx| multipart.poll_next_field(cx)).map_err(|error| source.problem(&error))?;
        let Some(field) = next else { return Ok(None) };
        let head: usize = field.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if head > FORM_HEAD_MAX {
            return Err(Failure::HeadTooLarge.into());
        }
        Ok(Some(Part { source, field }))
    }

    /// Reads the epilogue, after the last part, to the end of the body.
    ///
    /// # Errors
    /// If the body is incomplete, or the epilogue too large.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let mut read = 0;
        while let Some(bytes) = self.source.read()? {
            read += bytes.len();
            if read > FORM_HEAD_MAX {
                return Err(Failure::HeadTooLarge.into());
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// Returns the value of a header field.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.field.headers().get(name).map(http::HeaderValue::as_bytes)
    }

    /// Reads the next piece of content; `None` at its end.
    ///
    /// # Errors
    /// As [`FormReader::next`].
    pub(super) fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let Part { source, field } = self;
        source.drive(|cx| Pin::new(&mut *field).poll_next(cx)).transpose().map_err(|error| source.problem(&error))
    }
}

impl Source {
    /// Runs the parser until it returns something. The parser gets bytes only when it needs them.
    fn drive<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(outcome) = poll(&mut cx) {
                self.unparsed.store(0, Relaxed);
                return outcome;
            }
            self.is_wanted.store(true, Relaxed);
        }
    }

    /// Blocks until bytes arrive; `None` at the end of the body.
    fn read(&self) -> Result<Option<Bytes>, Failure> {
        if self.has_ended.load(Relaxed) {
            return Ok(None);
        }
        match self.stream.blocking_read(FORM_READ) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StreamError::Closed) => {
                self.has_ended.store(true, Relaxed);
                Ok(None)
            }
            Err(StreamError::LastOperationFailed(error)) if is_stalled(&error) => Err(Failure::Stalled),
            Err(StreamError::LastOperationFailed(_)) => Err(Failure::Interrupted),
        }
    }

    fn problem(&self, error: &multer::Error) -> Problem {
        if let multer::Error::StreamReadFailed(cause) = error
            && let Some(failure) = cause.downcast_ref::<Failure>()
        {
            return (*failure).into();
        }
        if self.has_ended.load(Relaxed) {
            return Problem::from(Kind::INTERRUPTED).detail("the form ends before its last boundary");
        }
        Problem::invalid("body", "the headers or the boundary of a part are malformed")
    }
}

/// The source as the parser sees it.
struct Feed(Arc<Source>);

impl Stream for Feed {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Feed(source) = &*self;
        if !source.is_wanted.swap(false, Relaxed) {
            return Poll::Pending;
        }
        let read = source.read().transpose();
        Poll::Ready(match read {
            Some(Ok(bytes)) => {
                // Of the content of a part the parser returns whatever cannot begin a boundary.
                let before = source.unparsed.fetch_add(bytes.len(), Relaxed);
                Some(if before > FORM_HEAD_MAX { Err(Failure::HeadTooLarge) } else { Ok(bytes) })
            }
            read => read,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Stalled => "the body stalled",
            Failure::Interrupted => "the body was cut off",
            Failure::HeadTooLarge => "a header section is too large",
        })
    }
}

impl Error for Failure {}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stalled => Kind::STALLED.into(),
            Failure::Interrupted => Kind::INTERRUPTED.into(),
            Failure::HeadTooLarge => Problem::from(Kind::TOO_LARGE)
                .detail("the headers of a part, or the text around the parts, are too large")
                .field("body")
                .limit(FORM_HEAD_MAX as u64),
        }
    }
}
