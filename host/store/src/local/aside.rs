//! What a `Drop` has to do and what blocks: done on a thread for that, never on the async ones.
//!
//! Removing the last name of a file, closing one that has none, and punching a hole give blocks back, which takes the
//! longer the larger the file is. Invariant: whoever ends a put can wait until all of that has been done for it.

use crate::watched::Watched;
use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What is still to be done aside for one put.
#[derive(Clone, Default)]
pub(super) struct Aside(Arc<Watched<usize>>);

impl Aside {
    /// Does work that nobody has to wait for. Outside of a runtime it is done at once.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        *self.0.lock() += 1;
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

    /// Returns when nothing is left to be done.
    pub(super) async fn settled(&self) {
        self.0.until(|left| (*left == 0).then_some(())).await;
    }
}

/// The time of one piece of work. It ends as well where a runtime goes away and the work with it.
struct Share(Aside);

impl Drop for Share {
    fn drop(&mut self) {
        *self.0.0.lock() -= 1;
        self.0.0.notify();
    }
}

/// An open file. If it has lost its name by the time that it is closed, it is closed aside.
#[derive(Debug)]
pub(super) struct Opened(Option<File>);

impl From<File> for Opened {
    fn from(file: File) -> Self {
        Opened(Some(file))
    }
}

impl Deref for Opened {
    type Target = File;

    fn deref(&self) -> &File {
        let Some(file) = &self.0 else { unreachable!("it is taken only when it is dropped") };
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
