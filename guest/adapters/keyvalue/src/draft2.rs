//! The interfaces of version 0.2.0-draft2.

use crate::Adapter;
use crate::bindings::exports::wasi::keyvalue0_2_0_draft2::{atomics, batch, store};
use crate::bucket::Bucket;
use crate::cas::Cas;
use crate::error::Error;
use crate::versions::store_and_batch;

store_and_batch!(Option<String>, |bucket, cursor| {
    let page = bucket.list(cursor.as_deref())?;
    Ok((page.keys, page.next))
});

impl atomics::Guest for Adapter {
    type Cas = Cas;

    fn increment(bucket: store::BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, store::Error> {
        Ok(bucket.get::<Bucket>().increment(&key, |number: i64| number.checked_add(delta))?)
    }

    fn swap(cas: atomics::Cas, value: Vec<u8>) -> Result<(), atomics::CasError> {
        match cas.into_inner::<Cas>().swap(value) {
            Ok(None) => Ok(()),
            Ok(Some(newer)) => Err(atomics::CasError::CasFailed(atomics::Cas::new(newer))),
            Err(error) => Err(atomics::CasError::StoreError(error.into())),
        }
    }
}

impl atomics::GuestCas for Cas {
    fn new(bucket: store::BucketBorrow<'_>, key: String) -> Result<atomics::Cas, store::Error> {
        Ok(atomics::Cas::new(Cas::new(bucket.get::<Bucket>().again()?, key)?))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, store::Error> {
        Ok(self.current())
    }
}
