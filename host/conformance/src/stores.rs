//! The backend that the programs run over, and what it really holds.

use async_trait::async_trait;
use portico_store::{Backend, Digest, Scope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Any error, for a person to read.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A backend under test.
#[async_trait]
pub trait TestBackend: Send + Sync + 'static {
    /// Its name in the names of the tests.
    fn name(&self) -> &str;

    /// What it is able to, of what a case may need. A case that needs something else is shown as ignored.
    ///
    /// - `small-limit`: its stores can be made to take at most 8 MiB in one put.
    /// - `large`: its stores can be made to take at least 32 MiB in one put.
    /// - `several-hosts`: a store can be opened by several hosts at once.
    fn capabilities(&self) -> &[&'static str];

    /// An empty store for one case that needs these of its capabilities.
    ///
    /// # Errors
    /// If there can't be one.
    async fn fresh(&self, needs: &[String]) -> Result<Box<dyn TestStore>, BoxError>;
}

/// A store for one case.
#[async_trait]
pub trait TestStore: Send + Sync {
    /// Opens a host on the store. What an earlier call returned has been dropped, except with `several-hosts`: then this
    /// is one more host.
    ///
    /// # Errors
    /// If it can't be opened.
    async fn open(&self) -> Result<Arc<dyn Backend>, BoxError>;

    /// Looks at the storage itself, not through the backend. What was opened has been dropped; what it still had to do
    /// in the background is awaited.
    ///
    /// # Errors
    /// If it can't be looked at.
    async fn inspect(&self) -> Result<Found, BoxError>;

    /// Takes away all that was made for it. What was opened has been dropped.
    ///
    /// # Errors
    /// If something stays.
    async fn remove(&self) -> Result<(), BoxError>;
}

/// What a storage really holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Scopes in which there is anything.
    pub scopes: BTreeSet<Scope>,
    /// Final objects, in any order.
    pub objects: Vec<FoundObject>,
    /// Parts, in any order.
    pub parts: Vec<FoundPart>,
    /// What must not be: leftovers, data without a receipt and the other way round, receipts that say something else
    /// than the data, things of no kind that belongs there.
    pub faults: Vec<String>,
}

/// A final object as it lies there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundObject {
    /// Its scope.
    pub scope: Scope,
    /// Its bucket.
    pub bucket: String,
    /// Its key in the bucket.
    pub key: String,
    /// Its size in bytes, counted.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A part as it lies there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPart {
    /// Its scope.
    pub scope: Scope,
    /// Its key.
    pub temp_key: String,
    /// Its size in bytes, counted.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl FoundObject {
    /// An object of that size and digest.
    pub fn new(scope: Scope, bucket: impl Into<String>, key: impl Into<String>, size: u64, sha256: Digest) -> Self {
        FoundObject { scope, bucket: bucket.into(), key: key.into(), size, sha256: sha256.to_hex() }
    }
}

impl FoundPart {
    /// A part of that size and digest.
    pub fn new(scope: Scope, temp_key: impl Into<String>, size: u64, sha256: Digest) -> Self {
        FoundPart { scope, temp_key: temp_key.into(), size, sha256: sha256.to_hex() }
    }
}
