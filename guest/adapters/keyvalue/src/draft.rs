//! The interfaces of version 0.2.0-draft.

use crate::Adapter;
use crate::bindings::exports::wasi::keyvalue0_2_0_draft::{atomics, batch, store};
use crate::bucket::Bucket;
use crate::error::Error;

impl From<Error> for store::Error {
    fn from(error: Error) -> store::Error {
        match error {
            Error::NoSuchStore => store::Error::NoSuchStore,
            Error::AccessDenied => store::Error::AccessDenied,
            Error::Other(text) => store::Error::Other(text),
        }
    }
}

impl store::Guest for Adapter {
    type Bucket = Bucket;

    fn open(identifier: String) -> Result<store::Bucket, store::Error> {
        Ok(store::Bucket::new(Bucket::open(&identifier)?))
    }
}

impl store::GuestBucket for Bucket {
    fn get(&self, key: String) -> Result<Option<Vec<u8>>, store::Error> {
        Ok(self.get(&key)?)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), store::Error> {
        Ok(self.set(&key, &value)?)
    }

    fn delete(&self, key: String) -> Result<(), store::Error> {
        Ok(self.delete(&key)?)
    }

    fn exists(&self, key: String) -> Result<bool, store::Error> {
        Ok(self.get(&key)?.is_some())
    }

    fn list_keys(&self, cursor: Option<u64>) -> Result<store::KeyResponse, store::Error> {
        let (keys, cursor) = self.list_from(cursor.unwrap_or(0))?;
        Ok(store::KeyResponse { keys, cursor })
    }
}

impl atomics::Guest for Adapter {
    fn increment(bucket: store::BucketBorrow<'_>, key: String, delta: u64) -> Result<u64, store::Error> {
        Ok(bucket.get::<Bucket>().increment(&key, |number: u64| number.checked_add(delta))?)
    }
}

impl batch::Guest for Adapter {
    fn get_many(
        bucket: store::BucketBorrow<'_>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, store::Error> {
        Ok(bucket.get::<Bucket>().get_many(keys)?)
    }

    fn set_many(bucket: store::BucketBorrow<'_>, pairs: Vec<(String, Vec<u8>)>) -> Result<(), store::Error> {
        Ok(bucket.get::<Bucket>().set_many(pairs)?)
    }

    fn delete_many(bucket: store::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), store::Error> {
        Ok(bucket.get::<Bucket>().delete_many(keys)?)
    }
}
