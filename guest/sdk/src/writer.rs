//! Writers: content that a guest generates, or must check before the content becomes visible.
//!
//! Invariant: the traps of the contract are compile errors here. A [`Sink`] borrows its writer, so the writer can do
//! nothing else until the sink is dropped, and `finish` consumes the writer.

use crate::{
    Expected, InputStream, Result, Sink, StoredObject, TempPart, bindings::portico::storage::storage::Receipt, sys,
};
use std::marker::PhantomData;

/// Content in progress, of a part or of a final object. Dropping the writer discards the content.
///
/// `R` is the receipt that [`Writer::finish`] returns: [`TempPart`] or [`StoredObject`].
#[derive(Debug)]
pub struct Writer<R> {
    handle: sys::Writer,
    receipt: PhantomData<R>,
}

impl<R: From<Receipt>> Writer<R> {
    pub(crate) fn new(handle: sys::Writer) -> Self {
        Writer { handle, receipt: PhantomData }
    }

    /// Pulls `content` to its end and appends it. Returns the number of bytes that this call appended.
    ///
    /// # Errors
    /// `InvalidArgument(Content)`; `SizeMismatch` as soon as there are more bytes than expected; `TooLarge`;
    /// `Interrupted`; `Stalled`. Each later operation fails with the same error.
    pub fn pull(&mut self, content: InputStream) -> Result<u64> {
        Ok(self.handle.pull(content)?)
    }

    /// Opens a stream that appends the bytes written to it.
    ///
    /// # Errors
    /// The error of an earlier operation that failed.
    pub fn sink(&mut self) -> Result<Sink<'_>> {
        Ok(Sink::new(self.handle.sink()?))
    }

    /// Ends the content, checks it against `expected` and against the expectations in the options, and makes it
    /// visible.
    ///
    /// # Errors
    /// Those of [`Store::put_temp_part`](crate::Store::put_temp_part) or [`Store::put_final`](crate::Store::put_final);
    /// the error of an earlier operation that failed.
    pub fn finish(self, expected: Expected) -> Result<R> {
        Ok(sys::Writer::finish(self.handle, &expected.into())?.into())
    }
}

impl From<Receipt> for TempPart {
    fn from(receipt: Receipt) -> Self {
        match receipt {
            Receipt::TempPart(part) => part.into(),
            Receipt::StoredObject(_) => panic!("the host returned the receipt of an object for a part"),
        }
    }
}

impl From<Receipt> for StoredObject {
    fn from(receipt: Receipt) -> Self {
        match receipt {
            Receipt::StoredObject(object) => object.into(),
            Receipt::TempPart(_) => panic!("the host returned the receipt of a part for an object"),
        }
    }
}
