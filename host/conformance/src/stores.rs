//! The backends that the programs run over, and a direct look at their storage.

use async_trait::async_trait;
use portico_store::{Backend, Digest, Scope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Any error, for a person to read.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A backend under test.
#[async_trait]
pub trait TestBackend: Send + Sync + 'static {
    /// The backend's name, which is the first part of test names.
    fn name(&self) -> &str;

    /// The capabilities that cases may need. A case that needs another one is reported as ignored.
    ///
    /// - `small-limit`: a store can limit objects to at most 8 MiB.
    /// - `large`: a store can accept objects of at least 32 MiB.
    /// - `several-hosts`: several hosts can have a store open at once.
    fn capabilities(&self) -> &[&'static str];

    /// Creates an empty store for one case that needs these capabilities.
    ///
    /// # Errors
    /// If the store cannot be created.
    async fn fresh(&self, needs: &[String]) -> Result<Box<dyn TestStore>, BoxError>;
}

/// A store for one case.
#[async_trait]
pub trait TestStore: Send + Sync {
    /// Opens a host on the store. All earlier hosts have been dropped, except with `several-hosts`.
    ///
    /// # Errors
    /// If the store cannot be opened.
    async fn open(&self) -> Result<Arc<dyn Backend>, BoxError>;

    /// Reads the storage itself, without the backend. Hosts have been dropped; waits for their background tasks.
    ///
    /// # Errors
    /// If the storage cannot be read.
    async fn inspect(&self) -> Result<Found, BoxError>;

    /// Removes all traces of the store. Hosts have been dropped.
    ///
    /// # Errors
    /// If anything remains.
    async fn remove(&self) -> Result<(), BoxError>;
}

/// The content of a storage, as a direct look finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Scopes that contain anything.
    pub scopes: BTreeSet<Scope>,
    /// Final objects, in any order.
    pub objects: Vec<FoundObject>,
    /// Parts, in any order.
    pub parts: Vec<FoundPart>,
    /// Defects: leftovers, data without a receipt, receipts without data or with other data, foreign files or keys.
    pub faults: Vec<String>,
}

/// A final object that a direct look finds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundObject {
    /// The object's scope.
    pub scope: Scope,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key in the bucket.
    pub key: String,
    /// Number of bytes, as counted.
    pub size: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// A part that a direct look finds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPart {
    /// The part's scope.
    pub scope: Scope,
    /// The part's key.
    pub temp_key: String,
    /// Number of bytes, as counted.
    pub size: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

impl FoundObject {
    /// Creates a finding of that size and digest.
    pub fn new(scope: Scope, bucket: impl Into<String>, key: impl Into<String>, size: u64, sha256: Digest) -> Self {
        FoundObject { scope, bucket: bucket.into(), key: key.into(), size, sha256: sha256.to_hex() }
    }
}

impl FoundPart {
    /// Creates a finding of that size and digest.
    pub fn new(scope: Scope, temp_key: impl Into<String>, size: u64, sha256: Digest) -> Self {
        FoundPart { scope, temp_key: temp_key.into(), size, sha256: sha256.to_hex() }
    }
}
