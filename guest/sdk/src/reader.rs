//! Readers of final objects.

use crate::{ReadStream, Result, StoredObject, options::byte_range, sys::FinalReader as Handle};
use std::ops::RangeBounds;

/// A final object, opened for reading: its receipt, and any number of streams.
///
/// All streams have the content of this one object, never that of a later object under the same id. They continue after
/// the reader is dropped.
#[derive(Debug)]
pub struct FinalReader {
    handle: Handle,
    receipt: StoredObject,
}

impl FinalReader {
    pub(crate) fn new(handle: Handle) -> Self {
        let receipt = handle.receipt().into();
        FinalReader { handle, receipt }
    }

    /// Returns the receipt of the object as it was opened.
    #[must_use]
    pub fn receipt(&self) -> &StoredObject {
        &self.receipt
    }

    /// Opens a stream of the object, or of a range of it in bytes.
    ///
    /// # Errors
    /// `InvalidArgument(Range)`; `OutOfRange`; `Gone` or `NotFound` if the object was deleted meanwhile and the backend
    /// does not keep its data for open readers.
    pub fn stream(&self, range: impl RangeBounds<u64>) -> Result<ReadStream> {
        Ok(ReadStream::new(self.handle.stream(byte_range(range))?))
    }
}
