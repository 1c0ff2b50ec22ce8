//! Rules for one user of a backend: read-only, largest object, quota, observer, spans.
//!
//! [`Rules::guard`] puts the rules before a backend and returns a backend, so they hold for whatever uses it: guests of
//! any host, and native code. They hold for every scope that the user reaches.
//!
//! Invariants: an operation that changes the store runs to its end, is counted and is observed even if its caller is
//! dropped; a rule refuses an operation before the backend sees it.
//!
//! ```
//! use portico_store::guard::{Quota, Rules, Usage};
//! use portico_store::{Backend, Error, FileId, FinalOptions, Scope, local::LocalStore, put_final, stream};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let store: Arc<dyn Backend> = Arc::new(LocalStore::open(dir.path(), Default::default()).await?);
//! let alice = Scope::root().narrow("alice")?;
//!
//! // What Alice stored before this process started counts too.
//! let quota = Quota::new(Usage { bytes: 8, objects: 100 });
//! quota.set_used(Usage::of(&*store, &alice).await?);
//! let guarded = Rules { quota: Some(quota.clone()), ..Rules::default() }.guard(store);
//!
//! let (first, second) = (FileId::parse("first")?, FileId::parse("second")?);
//! put_final(&*guarded, &alice, &first, &mut stream::from_bytes("hello"), FinalOptions::default()).await?;
//! assert_eq!(quota.used(), Usage { bytes: 5, objects: 1 });
//! let refused = put_final(&*guarded, &alice, &second, &mut stream::from_bytes("world"), FinalOptions::default()).await;
//! assert!(matches!(refused, Err(Error::NoSpace)));
//! # Ok(()) }) }
//! ```

mod backend;
mod content;
mod counted;
mod event;
mod locks;
mod quota;

pub use event::{Event, Observer, Operation, Outcome};
pub use quota::{Quota, Usage};

use crate::{Backend, Error, Result};
use std::sync::Arc;

/// Rules for one user of a backend. The default has none.
#[derive(Clone, Default)]
pub struct Rules {
    /// Refuses with [`Error::Denied`] all that would change the store.
    pub read_only: bool,
    /// Largest part or final object, in bytes; at most what the backend stores. More is [`Error::TooLarge`].
    pub max_object_size: Option<u64>,
    /// Most bytes and objects. More is [`Error::NoSpace`].
    pub quota: Option<Quota>,
    /// Receives an event at the end of each operation, also of a refused one. It must not block.
    pub observer: Option<Observer>,
    /// Runs each operation in a span `storage` of the level `DEBUG` with its name and scope, a child of the current span.
    pub spans: bool,
}

impl Rules {
    /// Puts these rules before a backend.
    pub fn guard(self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        Arc::new(Guarded(Arc::new(Inner { backend, rules: self })))
    }

    /// Reports whether there is any rule.
    pub fn any(&self) -> bool {
        let Rules { read_only, max_object_size, quota, observer, spans } = self;
        *read_only || max_object_size.is_some() || quota.is_some() || observer.is_some() || *spans
    }
}

/// The cause in [`Error::Denied`] if the rule refused, and not the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this user may only read")]
pub struct ReadOnly;

impl ReadOnly {
    /// Reports whether this rule caused an error.
    pub fn caused(error: &Error) -> bool {
        matches!(error, Error::Denied(cause) if cause.is::<ReadOnly>())
    }
}

struct Guarded(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Backend>,
    rules: Rules,
}

impl Inner {
    /// Returns the largest object that this user may store, in bytes.
    fn max_object_size(&self) -> u64 {
        let max = self.backend.info().max_object_size;
        self.rules.max_object_size.map_or(max, |limit| limit.min(max))
    }

    fn check_writable(&self) -> Result<()> {
        if self.rules.read_only { Err(Error::Denied(ReadOnly.into())) } else { Ok(()) }
    }
}

/// Runs an operation as a task of its own, in the current span, so that it ends even if the caller is dropped.
async fn run_to_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    use tracing::Instrument as _;
    tokio::spawn(work.in_current_span()).await.map_err(Error::internal)?
}
