//! Bytes on their way to the bucket. Invariant: content in memory counts against the budget.

pub(crate) mod budget;
pub(crate) mod data;
pub(crate) mod ingest;
pub(crate) mod multipart_upload;
pub(crate) mod reading;
pub(crate) mod sink;
