//! Bytes on their way to the bucket. Invariant: what is in memory is in the budget.

pub(crate) mod budget;
pub(crate) mod data;
pub(crate) mod ingest;
pub(crate) mod multipart_upload;
pub(crate) mod sink;
