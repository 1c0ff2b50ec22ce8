//! Staged files: content of final objects, before it has the name of its object.
//!
//! Invariant: a token is in use from before its file exists, so a sweep that finds a token not in use may remove its file.

use crate::local::files::aside::{Aside, Opened};
use crate::local::files::body::{OwnName, Sink};
use crate::local::files::disk::Disk;
use crate::local::files::layout;
use crate::{Error, Result, Token};
use bytes::Bytes;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The tokens in use below `staging/`.
#[derive(Clone, Default)]
pub(crate) struct Staging(Arc<Mutex<HashSet<Token>>>);

impl Staging {
    /// A new staged file, which its first write creates. Deferred work for it runs on `aside`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub(crate) fn file(&self, disk: &Arc<Disk>, aside: &Aside) -> Result<StagedFile> {
        let token = Token::random()?;
        let path = layout::staged(&token);
        self.lock().insert(token.clone());
        let in_use = InUse { staging: self.clone(), token, in_doubt: false };
        Ok(StagedFile { created: OnceLock::new(), path, disk: disk.clone(), aside: aside.clone(), in_use })
    }

    /// Whether an operation of this process uses a token.
    pub(crate) fn is_in_use(&self, token: &Token) -> bool {
        self.lock().contains(token)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The use of a token.
struct InUse {
    staging: Staging,
    token: Token,
    in_doubt: bool,
}

impl Drop for InUse {
    fn drop(&mut self) {
        if !self.in_doubt {
            self.staging.lock().remove(&self.token);
        }
    }
}

/// A staged file. Dropping it removes it.
pub(crate) struct StagedFile {
    created: OnceLock<(Opened, OwnName)>,
    path: PathBuf,
    disk: Arc<Disk>,
    aside: Aside,
    in_use: InUse,
}

impl StagedFile {
    /// The path below the root.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file. The first call creates it. Blocks.
    pub(crate) fn file(&self) -> Result<&Opened> {
        if self.created.get().is_none() {
            let file = self.disk.create(&self.path)?;
            let name = OwnName::new(&self.disk, self.path.clone(), &self.aside);
            // Writes come one at a time.
            let _ = self.created.set((file, name));
        }
        self.created.get().map(|(file, _)| file).ok_or_else(|| Error::internal("no staged file"))
    }

    /// Makes the content and the staged name durable. Blocks.
    pub(crate) fn sync(&self) -> Result<()> {
        self.disk.sync_file(self.file()?)?;
        self.disk.sync_dir(layout::STAGING.as_ref())
    }

    /// Removes the staged name. Blocks.
    pub(crate) fn remove(mut self) {
        if let Some((_, name)) = self.created.take() {
            name.remove();
        }
    }

    /// Records that the caller has removed the staged name.
    pub(crate) fn forget_name(mut self) {
        if let Some((_, name)) = self.created.take() {
            name.keep();
        }
    }

    /// Leaves the file, and its token in use, until the store is opened again.
    pub(crate) fn keep_in_doubt(mut self) {
        if let Some((_, name)) = self.created.take() {
            name.keep();
        }
        self.in_use.in_doubt = true;
    }
}

impl Sink for StagedFile {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        self.disk.write(self.file()?, at, frames)
    }
}
