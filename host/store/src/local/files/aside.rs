//! Blocking work of a `Drop`, done in the background on threads that may block, never on async threads.
//!
//! Removing the last name of a file, closing a file without a name, and punching a hole free blocks, which takes longer
//! the larger the file is. Invariant: the caller that ends a put can wait until all background work of the put is done.

use crate::watched::Watched;
use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The background work of all puts of a store.
#[derive(Clone, Default)]
pub(crate) struct Asides(Arc<Watched<usize>>);

impl Asides {
    /// The background work of a new put.
    pub(crate) fn put(&self) -> Aside {
        *self.0.lock() += 1;
        Aside(Arc::new(Work { left: Watched::default(), _of: Some(Put(self.clone())) }))
    }

    /// Returns when no put holds anything of the store any more, and all background work is done.
    pub(crate) async fn settle(&self) {
        self.0.until(|puts| (*puts == 0).then_some(())).await;
    }
}

/// A put that may still have background work.
struct Put(Asides);

impl Drop for Put {
    fn drop(&mut self) {
        *self.0.0.lock() -= 1;
        self.0.0.notify();
    }
}

/// The background work of one put. Whatever is removed when it is dropped holds a clone of this, and so does the
/// removal itself.
#[derive(Clone, Default)]
pub(crate) struct Aside(Arc<Work>);

#[derive(Default)]
struct Work {
    left: Watched<usize>,
    _of: Option<Put>,
}

impl Aside {
    /// Starts background work. Outside of a runtime it runs at once.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        *self.0.left.lock() += 1;
        let share = Share(self.clone());
        let work = move || {
            work();
            drop(share);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }

    /// Returns when no work is left.
    pub(crate) async fn wait(&self) {
        self.0.left.until(|left| (*left == 0).then_some(())).await;
    }
}

/// One piece of work. It also ends if the runtime ends before the work could run.
struct Share(Aside);

impl Drop for Share {
    fn drop(&mut self) {
        *self.0.0.left.lock() -= 1;
        self.0.0.left.notify();
    }
}

/// An open file. If the file has no name any more when this is dropped, it is closed in the background.
#[derive(Debug)]
pub(crate) struct Opened(Option<File>);

impl From<File> for Opened {
    fn from(file: File) -> Self {
        Opened(Some(file))
    }
}

impl Deref for Opened {
    type Target = File;

    fn deref(&self) -> &File {
        let Some(file) = &self.0 else { unreachable!("the file is taken only on drop") };
        file
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(file) = self.0.take()
            && file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
        {
            Aside::default().run(move || drop(file));
        }
    }
}
