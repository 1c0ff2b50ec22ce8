//! One upload to any backend: its count, the checks that need no backend, and the pump from a stream.
//!
//! Invariant: no byte beyond the expected size or the limit reaches a backend, and an upload whose source failed is
//! never finished.

use crate::lane::Lane;
use crate::others::OtherHashes;
use crate::stream::ByteStream;
use crate::{
    Argument, Backend, Error, Expected, FileId, FinalOptions, FinalReceipt, PartOptions, PartReceipt, Result, Scope,
    SessionId, TempKey, Writer, limits,
};
use bytes::Bytes;
use std::collections::HashSet;

/// A writer with its count and its limits. After a failure each call returns the same error.
pub struct Upload<R> {
    writer: Option<Box<dyn Writer<R>>>,
    expected: Expected,
    max: u64,
    received: u64,
    failure: Option<Error>,
    others: Option<Lane<OtherHashes>>,
    prefix: Prefix,
}

/// What becomes of content whose source fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// None of it is kept.
    Discarded,
    /// What has arrived is kept.
    Kept,
    /// The source has failed, and what had arrived is the content.
    Whole,
}

impl Upload<PartReceipt> {
    /// Begins a part.
    ///
    /// # Errors
    /// Those of the contract that need no content.
    pub async fn part(
        backend: &dyn Backend,
        scope: &Scope,
        session: &SessionId,
        number: u32,
        options: PartOptions,
    ) -> Result<Self> {
        let max = backend.info().max_object_size;
        check_size(&options.expected, max)?;
        let has_digest = options.expected.sha256.is_some() || !options.expected.others.is_empty();
        if options.keep_prefix && has_digest {
            return Err(Error::InvalidArgument(Argument::Expected));
        }
        if options.offset.is_some_and(|at| at > limits::SIZE_MAX - options.expected.size.unwrap_or(0)) {
            return Err(Error::InvalidArgument(Argument::Offset));
        }
        let (expected, max) = (options.expected, options.limit.map_or(max, |limit| limit.min(max)));
        let others = OtherHashes::start(&expected.others, &options.compute);
        let prefix = if options.keep_prefix { Prefix::Kept } else { Prefix::Discarded };
        let writer = backend.begin_part(scope, session, number, options).await?;
        Ok(Self::new(writer, expected, max, others, prefix))
    }
}

impl Upload<FinalReceipt> {
    /// Begins a final object.
    ///
    /// # Errors
    /// Those of the contract that need no content.
    pub async fn final_object(
        backend: &dyn Backend,
        scope: &Scope,
        file: &FileId,
        options: FinalOptions,
    ) -> Result<Self> {
        let max = backend.info().max_object_size;
        options.check()?;
        check_size(&options.expected, max)?;
        let expected = options.expected;
        let others = OtherHashes::start(&expected.others, &[]);
        let writer = backend.begin_final(scope, file, options).await?;
        Ok(Self::new(writer, expected, max, others, Prefix::Discarded))
    }
}

/// Makes a final object of parts, in the order given, and consumes them.
///
/// # Errors
/// Those of `assemble-final` in the contract.
pub async fn assemble_final(
    backend: &dyn Backend,
    scope: &Scope,
    file: &FileId,
    parts: &[TempKey],
    options: FinalOptions,
) -> Result<FinalReceipt> {
    options.check()?;
    check_size(&options.expected, backend.info().max_object_size)?;
    if !options.expected.others.is_empty() {
        return Err(Error::InvalidArgument(Argument::Expected));
    }
    let distinct: HashSet<&TempKey> = parts.iter().collect();
    if parts.len() > limits::ASSEMBLY_PARTS_MAX || distinct.len() != parts.len() {
        return Err(Error::InvalidArgument(Argument::Parts));
    }
    backend.assemble(scope, file, parts, options).await
}

fn check_size(expected: &Expected, max: u64) -> Result<()> {
    match expected.size {
        Some(size) if size > limits::SIZE_MAX => Err(Error::InvalidArgument(Argument::Expected)),
        Some(size) if size > max => Err(Error::TooLarge { limit: max }),
        _ => Ok(()),
    }
}

impl<R> Upload<R> {
    fn new(
        writer: Box<dyn Writer<R>>,
        expected: Expected,
        max: u64,
        others: Option<OtherHashes>,
        prefix: Prefix,
    ) -> Self {
        let others = others.map(|hashes| Lane::new(hashes, limits::OTHER_HASH_QUEUE));
        Upload { writer: Some(writer), expected, max, received: 0, failure: None, others, prefix }
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::TooLarge`] at the first byte too many, [`Error::Interrupted`], faults of
    /// the backend. Nothing is kept then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return self.live().map(|_| ());
        }
        let total = self.received.saturating_add(chunk.len() as u64);
        let excess = match self.expected.size {
            Some(expected) if total > expected => Some(Error::SizeMismatch { expected, actual: expected + 1 }),
            _ if total > self.max => Some(Error::TooLarge { limit: self.max }),
            _ => None,
        };
        if let Some(error) = excess {
            self.live()?;
            return Err(self.fail(error));
        }
        self.received = total;
        if let Some(others) = &self.others
            && let Err(error) = others.push(chunk.clone()).await
        {
            return Err(self.fail(error));
        }
        let written = self.live()?.write(chunk).await;
        written.map_err(|error| self.fail(error))
    }

    /// Appends a stream to its end; returns how many bytes arrived. If the part keeps prefixes, a failure of the stream
    /// after the first byte ends the content in place of failing the upload.
    ///
    /// # Errors
    /// As [`Upload::write`], [`Error::Interrupted`] if the stream fails, and [`Error::Stalled`] if the stream reports a
    /// stall.
    pub async fn pull(&mut self, stream: &mut dyn ByteStream) -> Result<u64> {
        let before = self.received;
        loop {
            let writer = self.live()?;
            let next = tokio::select! {
                biased;
                ended = writer.interrupted() => return self.cut(ended).map(|()| self.received - before),
                next = stream.next() => next,
            };
            match next {
                Ok(Some(chunk)) => self.write(chunk).await?,
                Ok(None) => return Ok(self.received - before),
                Err(cause) => {
                    tracing::debug!(error = %cause, received = self.received, "the source of a put failed");
                    let stalled = matches!(cause, Error::Stalled { .. });
                    let received = self.received;
                    let error = if stalled { Error::Stalled { received } } else { Error::Interrupted { received } };
                    return self.cut(error).map(|()| self.received - before);
                }
            }
        }
    }

    /// Ends content whose source has failed.
    fn cut(&mut self, error: Error) -> Result<()> {
        if self.prefix == Prefix::Discarded || self.received == 0 {
            return Err(self.fail(error));
        }
        self.prefix = Prefix::Whole;
        Ok(())
    }

    /// Checks the content against both expectations and makes it visible.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`], [`Error::DigestMismatch`], [`Error::Conflict`], [`Error::Gone`], [`Error::Ended`],
    /// [`Error::Interrupted`], faults of the backend.
    pub async fn finish(mut self, expected: Expected) -> Result<R> {
        let received = self.received;
        self.live()?;
        for size in [self.expected.size, expected.size].into_iter().flatten() {
            if size != received && self.prefix != Prefix::Whole {
                return Err(Error::SizeMismatch { expected: size, actual: received });
            }
        }
        let expected = self.expected.and(expected).ok_or(Error::DigestMismatch)?;
        match self.others.take() {
            Some(others) => others.finish().await?.check(&expected.others)?,
            None => OtherHashes::default().check(&expected.others)?,
        }
        let Some(writer) = self.writer.take() else { unreachable!("a live upload has its writer") };
        writer.finish(expected).await.map_err(|error| with_count(error, received))
    }

    /// Ends the upload with an error of its source, as if the backend had failed.
    pub fn fail(&mut self, error: Error) -> Error {
        let error = with_count(error, self.received);
        self.failure = Some(error.repeat());
        self.writer = None;
        error
    }

    fn live(&mut self) -> Result<&mut Box<dyn Writer<R>>> {
        match (&mut self.writer, &self.failure) {
            (Some(writer), None) => Ok(writer),
            (_, Some(failure)) => Err(failure.repeat()),
            (None, None) => unreachable!("an upload without a writer has failed"),
        }
    }
}

/// A backend need not count the bytes before an interrupt; this upload does.
fn with_count(error: Error, received: u64) -> Error {
    match error {
        Error::Interrupted { .. } => Error::Interrupted { received },
        Error::Stalled { .. } => Error::Stalled { received },
        other => other,
    }
}

/// Stores a stream as a part of a session.
///
/// # Errors
/// Those of `put-temp-part` in the contract.
pub async fn put_part(
    backend: &dyn Backend,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    content: &mut dyn ByteStream,
    options: PartOptions,
) -> Result<PartReceipt> {
    let mut upload = Upload::part(backend, scope, session, number, options).await?;
    upload.pull(content).await?;
    let is_prefix = upload.prefix == Prefix::Whole;
    Ok(PartReceipt { is_prefix, ..upload.finish(Expected::default()).await? })
}

/// Stores a stream as a final object.
///
/// # Errors
/// Those of `put-final` in the contract.
pub async fn put_final(
    backend: &dyn Backend,
    scope: &Scope,
    file: &FileId,
    content: &mut dyn ByteStream,
    options: FinalOptions,
) -> Result<FinalReceipt> {
    let mut upload = Upload::final_object(backend, scope, file, options).await?;
    upload.pull(content).await?;
    upload.finish(Expected::default()).await
}
