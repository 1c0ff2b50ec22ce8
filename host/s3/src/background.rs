//! What goes on after its caller has gone: commits that must not stop half-way, and the removal of what failed.

use portico_store::watched::Watched;
use portico_store::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future whose kind does not matter.
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The tasks of a store that outlive their callers.
#[derive(Clone, Default)]
pub(crate) struct Background(Arc<Watched<usize>>);

struct Counted(Background);

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.0.lock() -= 1;
        self.0.0.notify();
    }
}

impl Background {
    /// Does something even if nobody waits for it. Without a runtime, at the end of a process, it is left to a sweep.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        *self.0.lock() += 1;
        let counted = Counted(self.clone());
        runtime.spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    /// Does something to its end, also if the caller goes away meanwhile. Begins at once.
    pub(crate) fn detached<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Boxed<T> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // In a box, so that it is no part of whoever waits for it.
        let task: Boxed<T> = Box::pin(task);
        self.spawn(async move {
            let _ = answer.send(task.await);
        });
        Box::pin(async move { answered.await.map_err(Error::internal)? })
    }

    /// Waits until nothing of it runs any more.
    pub(crate) async fn settle(&self) {
        self.0.until(|running| (*running == 0).then_some(())).await;
    }
}
