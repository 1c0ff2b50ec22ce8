//! The state that all operations of a store share. Invariant: this file imports no operation.

use crate::content::budget::Budget;
use crate::digest::board::DigestBoard;
use crate::keys::Keys;
use crate::open::options::S3Options;
use crate::open::probe::Capabilities;
use crate::registry::Registry;
use crate::request::client::Client;
use crate::slots::cache::Cache;
use crate::slots::slot::Slots;
use portico_store::catching::{Catch, Catchers};
use portico_store::lane::Puts;
use portico_store::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

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
    /// Tasks that outlive their callers: commits that must not stop half-way, and the removal of failed attempts.
    pub(crate) background: TaskTracker,
    pub(crate) board: Arc<DigestBoard>,
    pub(crate) catchers: Catchers<Box<dyn Catch>>,
    pub(crate) cache: Cache,
    pub(crate) counters: Counters,
}

impl Inner {
    /// Runs a task that no caller waits for. Without a runtime, at the end of a process, a sweep does its work instead.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.background.spawn_on(task, &runtime);
        }
    }

    /// Runs a task with this state to its end, even if the caller is dropped. The task starts at once.
    pub(crate) fn detached<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce(Arc<Self>) -> F,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, result) = oneshot::channel();
        let task = task(self.clone());
        // A result without a receiver is dropped within the task, so that the tracker counts what the drop spawns.
        self.background.spawn(async move { sender.send(task.await).map_err(drop) });
        async move { result.await.map_err(Error::internal)? }
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
