//! The interfaces of version 0.2.0-draft2.

use crate::Adapter;
use crate::bindings::exports::wasi::keyvalue0_2_0_draft2::{atomics, batch, store};
use crate::bucket::Bucket;
use crate::cas::Cas;
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

    fn list_keys(&self, cursor: Option<String>) -> Result<store::KeyResponse, store::Error> {
        let page = self.list(cursor.as_deref())?;
        Ok(store::KeyResponse { keys: page.keys, cursor: page.next })
    }
}

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
