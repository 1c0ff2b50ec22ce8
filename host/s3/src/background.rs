//! Background tasks: commits that must not stop half-way, and the removal of failed attempts. Invariant: after
//! [`Background::wait`] none of the tasks before runs.

use portico_store::watched::Watched;
use portico_store::{Error, Result};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Counts the tasks of a store that outlive their callers.
#[derive(Clone, Default)]
pub(crate) struct Background(Arc<Watched<usize>>);

/// A running task. Dropping it counts the task out.
struct Counted(Background);

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.0.lock() -= 1;
        self.0.0.notify();
    }
}

impl Background {
    /// Runs a task that no caller waits for. Without a runtime, at the end of a process, a sweep does its work instead.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.run(&runtime, task);
        }
    }

    /// Runs a task to its end, even if the caller is dropped. The task starts at once.
    pub(crate) fn detached<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let running = self.run(&Handle::current(), task);
        async move { running.await.map_err(Error::internal)? }
    }

    fn run<T: Send + 'static>(
        &self,
        runtime: &Handle,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        *self.0.lock() += 1;
        let counted = Counted(self.clone());
        runtime.spawn(async move {
            let _counted = counted;
            task.await
        })
    }

    /// Waits until no task runs.
    pub(crate) async fn wait(&self) {
        self.0.until(|running| (*running == 0).then_some(())).await;
    }
}
