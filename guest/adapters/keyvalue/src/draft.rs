//! The interfaces of version 0.2.0-draft.

use crate::Adapter;
use crate::bindings::exports::wasi::keyvalue0_2_0_draft::{atomics, batch, store};
use crate::bucket::Bucket;
use crate::error::Error;
use crate::versions::store_and_batch;

store_and_batch!(Option<u64>, |bucket, cursor| bucket.list_from(cursor.unwrap_or(0)));

impl atomics::Guest for Adapter {
    fn increment(bucket: store::BucketBorrow<'_>, key: String, delta: u64) -> Result<u64, store::Error> {
        Ok(bucket.get::<Bucket>().increment(&key, |number: u64| number.checked_add(delta))?)
    }
}
