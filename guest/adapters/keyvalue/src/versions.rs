//! What both versions of the interface have, for the generated types of each: they differ in the cursor of a listing alone.

/// Implements `store` and `batch` with the interfaces `store` and `batch` in scope. `$list` lists a page from a cursor on.
macro_rules! store_and_batch {
    ($cursor:ty, $list:expr) => {
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

            fn list_keys(&self, cursor: $cursor) -> Result<store::KeyResponse, store::Error> {
                let list: fn(&Bucket, $cursor) -> crate::error::Result<(Vec<String>, $cursor)> = $list;
                let (keys, cursor) = list(self, cursor)?;
                Ok(store::KeyResponse { keys, cursor })
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
    };
}
pub(crate) use store_and_batch;
