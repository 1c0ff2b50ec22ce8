//! Writers: content that a guest makes itself, or must check before it becomes visible.
//!
//! The traps of the contract are compile errors here: a [`Sink`] borrows its writer, so nothing else can be done
//! with the writer until the sink is dropped, and `finish` consumes the writer.

use crate::{
    Expected, Result, Sink, StoredObject, TempPart,
    bindings::{
        portico::storage::storage::{Receipt, Writer},
        wasi::io::streams::InputStream,
    },
};

/// A temporary part being written. Dropping it discards the content.
#[derive(Debug)]
pub struct PartWriter(Writer);

/// A final object being written. Dropping it discards the content.
#[derive(Debug)]
pub struct FinalWriter(Writer);

impl PartWriter {
    pub(crate) fn new(writer: Writer) -> Self {
        PartWriter(writer)
    }

    /// Lets the host pull `content` to its end and append it; answers the number of bytes appended.
    ///
    /// # Errors
    /// `InvalidArgument(Content)`, `SizeMismatch` as soon as there are more bytes than expected, `TooLarge`,
    /// `Interrupted`.
    pub fn pull(&mut self, content: InputStream) -> Result<u64> {
        Ok(self.0.pull(content)?)
    }

    /// A stream that appends what is written to it.
    ///
    /// # Errors
    /// That of an earlier operation that failed.
    pub fn sink(&mut self) -> Result<Sink<'_>> {
        Ok(Sink::new(self.0.sink()?))
    }

    /// Ends the content, checks it against `expected` and against what the options expected, and makes it visible.
    ///
    /// # Errors
    /// As [`Store::put_temp_part`](crate::Store::put_temp_part); that of an earlier operation that failed.
    pub fn finish(self, expected: Expected) -> Result<TempPart> {
        match Writer::finish(self.0, &expected.into())? {
            Receipt::TempPart(part) => Ok(part.into()),
            Receipt::StoredObject(_) => panic!("the host answered a part with the receipt of an object"),
        }
    }
}

impl FinalWriter {
    pub(crate) fn new(writer: Writer) -> Self {
        FinalWriter(writer)
    }

    /// As [`PartWriter::pull`].
    ///
    /// # Errors
    /// As [`PartWriter::pull`].
    pub fn pull(&mut self, content: InputStream) -> Result<u64> {
        Ok(self.0.pull(content)?)
    }

    /// As [`PartWriter::sink`].
    ///
    /// # Errors
    /// As [`PartWriter::sink`].
    pub fn sink(&mut self) -> Result<Sink<'_>> {
        Ok(Sink::new(self.0.sink()?))
    }

    /// Ends the content, checks it against `expected` and against what the options expected, and makes it visible.
    ///
    /// # Errors
    /// As [`Store::put_final`](crate::Store::put_final); that of an earlier operation that failed.
    pub fn finish(self, expected: Expected) -> Result<StoredObject> {
        match Writer::finish(self.0, &expected.into())? {
            Receipt::StoredObject(object) => Ok(object.into()),
            Receipt::TempPart(_) => panic!("the host answered an object with the receipt of a part"),
        }
    }
}
