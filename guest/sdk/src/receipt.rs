//! What exists in a store, as the host tells it.
//!
//! A host that breaks the contract here, by a digest that is not 32 bytes long, is a panic: no guest can go on.

use crate::{Digest, bindings::portico::storage::storage as wit};
use std::time::{Duration, SystemTime};

/// A temporary part that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TempPart {
    /// The key of this very write. A part that is deleted and put again gets another one.
    pub temp_key: String,
    /// Its number in the session.
    pub part_number: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, where one was asked for or expected at the put.
    pub sha256: Option<Digest>,
    /// The offset that its put gave, in bytes.
    pub offset: Option<u64>,
    /// True only from a put that found the same content already there, and stored nothing.
    pub replayed: bool,
}

impl From<wit::TempPart> for TempPart {
    fn from(part: wit::TempPart) -> Self {
        let wit::TempPart { temp_key, part_number, size, sha256, offset, replayed } = part;
        TempPart { temp_key, part_number, size, sha256: sha256.map(digest), offset, replayed }
    }
}

/// A temporary part in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// The key of the write.
    pub temp_key: String,
    /// The part's number in the session.
    pub part_number: u32,
    /// The size in bytes.
    pub size: u64,
}

impl From<wit::ListedPart> for ListedPart {
    fn from(wit::ListedPart { temp_key, part_number, size }: wit::ListedPart) -> Self {
        ListedPart { temp_key, part_number, size }
    }
}

/// A final object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The id that it was stored under.
    pub file_id: String,
    /// The bucket that holds it: the configured bucket on S3, `local` on disk.
    pub bucket: String,
    /// Its full key in the bucket; on disk, its path below the root of the store.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of the whole content.
    pub sha256: Digest,
    /// The media type that its put gave.
    pub content_type: Option<String>,
    /// The metadata that its put gave, in the order given.
    pub metadata: Vec<(String, String)>,
    /// When it came to exist, to the millisecond, by the backend's clock.
    pub created_at: SystemTime,
    /// True only from a put or assembly that found the same content already there, and stored nothing.
    pub replayed: bool,
}

impl StoredObject {
    /// The value of a key of its metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl From<wit::StoredObject> for StoredObject {
    fn from(object: wit::StoredObject) -> Self {
        let wit::StoredObject { file_id, bucket, key, size, sha256, content_type, metadata, created_at, replayed } =
            object;
        let (sha256, created_at) = (digest(sha256), SystemTime::UNIX_EPOCH + Duration::from_millis(created_at));
        StoredObject { file_id, bucket, key, size, sha256, content_type, metadata, created_at, replayed }
    }
}

/// A small named document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// The token of this very write, opaque and never used twice.
    pub version: String,
    /// Its value, at most 64 KiB.
    pub value: Vec<u8>,
}

impl From<wit::StoredRecord> for Record {
    fn from(record: wit::StoredRecord) -> Self {
        let wit::StoredRecord { name, version, value } = record;
        Record { name, version, value }
    }
}

fn digest(bytes: Vec<u8>) -> Digest {
    let bytes: [u8; Digest::LEN] = bytes.try_into().expect("a host answers digests of 32 bytes");
    bytes.into()
}
