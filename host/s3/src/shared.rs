//! The state that all operations of a store share. Invariant: this file imports no operation.

use crate::background::Background;
use crate::content::budget::Budget;
use crate::digest::board::DigestBoard;
use crate::keys::Keys;
use crate::open::options::S3Options;
use crate::open::probe::Capabilities;
use crate::registry::Registry;
use crate::request::client::Client;
use crate::slots::cache::Cache;
use crate::slots::slot::Slots;
use async_trait::async_trait;
use portico_store::Result;
use portico_store::catching::{Catch, Catchers};
use portico_store::lane::Puts;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The shared state of a store.
pub(crate) struct Inner {
    pub(crate) client: Arc<Client>,
    pub(crate) keys: Keys,
    pub(crate) slots: Arc<Slots>,
    pub(crate) options: S3Options,
    pub(crate) capabilities: Capabilities,
    pub(crate) budget: Arc<Budget>,
    pub(crate) puts: Arc<Puts>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) background: Background,
    pub(crate) board: Arc<DigestBoard>,
    pub(crate) catchers: Catchers<Catcher>,
    pub(crate) cache: Cache,
    pub(crate) counters: Counters,
}

impl Inner {
    /// Runs a task with this state to its end, even if the caller is dropped. The task starts at once.
    pub(crate) fn detached<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce(Arc<Self>) -> F,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        self.background.detached(task(self.clone()))
    }
}

/// Bytes that assemblies moved through this host since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Read back for a digest.
    pub(crate) read_back: AtomicU64,
    /// Read back for a digest in the background.
    pub(crate) caught_up: AtomicU64,
    /// Read and sent again, because the server could not copy them.
    pub(crate) streamed: AtomicU64,
}

/// A background hasher, boxed because its own type imports this file.
pub(crate) struct Catcher(pub(crate) Box<dyn Catch>);

#[async_trait]
impl Catch for Catcher {
    async fn step(&mut self) -> Result<bool> {
        self.0.step().await
    }
}
