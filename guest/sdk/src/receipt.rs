//! Receipts and records.
//!
//! A digest that is not 32 bytes long is a panic: the host has broken the contract, and no guest can continue.

use crate::{Digest, bindings::portico::storage::storage as wit};
use std::time::{Duration, SystemTime};

/// The receipt of a temporary part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TempPart {
    /// The key of this write. A part that is deleted and put again gets another key.
    pub temp_key: String,
    /// The part's number in the session.
    pub part_number: u32,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256, if the put asked for or expected one.
    pub sha256: Option<Digest>,
    /// The offset that the put gave, in bytes.
    pub offset: Option<u64>,
    /// True only from a put that found the same content and stored nothing.
    pub replayed: bool,
    /// True only from a put with `keep_prefix` that did not come to the end of its source. The part has `size` bytes.
    pub is_prefix: bool,
}

impl From<wit::TempPart> for TempPart {
    fn from(part: wit::TempPart) -> Self {
        let wit::TempPart { temp_key, part_number, size, sha256, offset, replayed, is_prefix } = part;
        TempPart { temp_key, part_number, size, sha256: sha256.map(digest), offset, replayed, is_prefix }
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
    /// The offset that the put was given. Also absent where the store would need another request for it;
    /// [`Store::stat_temp_part`](crate::Store::stat_temp_part) has it always.
    pub offset: Option<u64>,
}

impl From<wit::ListedPart> for ListedPart {
    fn from(wit::ListedPart { temp_key, part_number, size, offset }: wit::ListedPart) -> Self {
        ListedPart { temp_key, part_number, size, offset }
    }
}

/// The receipt of a final object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The id that the object was stored under.
    pub file_id: String,
    /// The bucket of the object: the configured bucket on S3, `local` on disk.
    pub bucket: String,
    /// The full key in the bucket; on disk, the path below the root of the store.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the whole content.
    pub sha256: Digest,
    /// The media type that the put gave.
    pub content_type: Option<String>,
    /// The metadata that the put gave, in the order given.
    pub metadata: Vec<(String, String)>,
    /// When the object became visible, to the millisecond, by the backend's clock.
    pub created_at: SystemTime,
    /// True only from a put or assembly that found the same content and stored nothing.
    pub replayed: bool,
}

impl StoredObject {
    /// Returns the value of a metadata key.
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
    /// The record's name.
    pub name: String,
    /// The token of this write. Opaque; no two writes have the same token.
    pub version: String,
    /// The value, at most 64 KiB.
    pub value: Vec<u8>,
}

impl From<wit::StoredRecord> for Record {
    fn from(record: wit::StoredRecord) -> Self {
        let wit::StoredRecord { name, version, value } = record;
        Record { name, version, value }
    }
}

fn digest(bytes: Vec<u8>) -> Digest {
    let bytes: [u8; Digest::LEN] = bytes.try_into().expect("the host returns digests of 32 bytes");
    bytes.into()
}
