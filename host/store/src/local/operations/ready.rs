//! Whether puts would succeed now: a small trial of each step of a put, undone afterwards.
//!
//! Invariants: each step of the trial uses the function of the put; a crash leaves only the names of an unfinished put,
//! which a sweep removes; only the index is synced. All files are on one filesystem, so another sync would reveal
//! nothing more, and under load each sync waits for running uploads.

use crate::local::files::body::Sink;
use crate::local::files::layout::{self, FINAL, INDEX, STAGING, TEMP};
use crate::local::index::trials;
use crate::local::shared::{Inner, blocking};
use crate::{Error, FileId, Result, Scope, SessionId, Token};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The content of a trial.
const CONTENT: &[u8] = b"portico trial";

/// Scopes whose folders are tried. An embedding host may have any number of scopes; the server has one.
const SCOPES_TRIED: usize = 16;

/// A step of a put that failed in a trial.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}", .path.display())]
struct Failed {
    what: &'static str,
    path: PathBuf,
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Tries a small put, in the folders and in the index.
///
/// # Errors
/// The step that failed, with its path; [`Error::NoSpace`] if there is no room.
pub(crate) async fn check(inner: &Arc<Inner>) -> Result<()> {
    blocking(inner, |inner| inner.root.check_place()).await?;
    check_files(inner).await?;
    inner.index.write(trials::count).await.map_err(|error| failed(inner, "no row can be written to", INDEX, error))?;
    blocking(inner, |inner| {
        inner.inodes.check(&inner.disk, inner.root.path())?;
        // Replacing a row needs no room, so the index did not notice a lack of it.
        if inner.disk.is_full() { Err(Error::NoSpace) } else { Ok(()) }
    })
    .await
}

/// Tries a small put in the folders.
///
/// # Errors
/// As [`check`].
pub(crate) async fn check_files(inner: &Arc<Inner>) -> Result<()> {
    blocking(inner, |inner| inner.inodes.check(&inner.disk, inner.root.path())).await?;
    blocking(inner, |inner| {
        publish(inner)?;
        store_parts(inner)
    })
    .await
}

/// Gives a staged file a second name among the finals of each scope, and removes all names.
fn publish(inner: &Arc<Inner>) -> Result<()> {
    let id = FileId::parse(Token::random()?.as_str())?;
    // Dropping it removes its name, also after a failure.
    let staged = inner.staging.file(&inner.disk, &inner.asides.put())?;
    staged.file().map_err(|error| failed(inner, "no file can be made in", STAGING, error))?;
    let written = staged.take(0, &[Bytes::from_static(CONTENT)]);
    written.map_err(|error| failed(inner, "no file can be written in", STAGING, error))?;
    for scope in scopes(inner, FINAL)? {
        let to = layout::final_path(&scope, &id);
        let what = "a store needs hard links, and none can be made from `staging` into";
        inner.disk.link(staged.path(), &to).map_err(|error| failed(inner, what, layout::final_dir(&scope), error))?;
        inner.disk.unlink(&to).map_err(|error| failed(inner, "no file can be deleted in", FINAL, error))?;
    }
    inner.disk.unlink(staged.path()).map_err(|error| failed(inner, "no file can be deleted in", STAGING, error))?;
    staged.forget_name();
    Ok(())
}

/// Writes a part of a session of its own in each scope, and removes it.
fn store_parts(inner: &Arc<Inner>) -> Result<()> {
    let token = Token::random()?;
    let session = SessionId::parse(token.as_str())?;
    for scope in scopes(inner, TEMP)? {
        // A sweep leaves a session with a running put alone.
        let _running = inner.sessions.register(&scope, &session, inner.asides.put(), false);
        let (dir, path) = (layout::session_dir(&scope, &session), layout::own(&scope, &session, &token));
        let in_temp = |what| {
            let dir = Path::new(TEMP).join(scope.as_str());
            move |error| failed(inner, what, dir, error)
        };
        drop(inner.disk.create(&path).map_err(in_temp("no file can be made in"))?);
        inner.disk.unlink(&path).map_err(in_temp("no file can be deleted in"))?;
        inner.disk.remove_dir(&dir).map_err(in_temp("no folder can be deleted in"))?;
    }
    Ok(())
}

/// The root scope, and some of the scopes that have a folder in one of the store's.
fn scopes(inner: &Inner, folder: &'static str) -> Result<BTreeSet<Scope>> {
    let mut scopes = BTreeSet::from([Scope::root()]);
    let listed = inner.disk.each_name(folder.as_ref(), |name| {
        let is_folder = || inner.disk.stat(&Path::new(folder).join(name)).map(|stat| stat.is_some_and(|s| s.is_folder));
        if let Some(scope) = Scope::from_written(name)
            && is_folder()?
        {
            scopes.insert(scope);
        }
        Ok(scopes.len() < SCOPES_TRIED)
    });
    listed.map_err(|error| failed(inner, "cannot list", folder, error))?;
    Ok(scopes)
}

/// An error with its step and its path.
fn failed(inner: &Inner, what: &'static str, path: impl AsRef<Path>, error: Error) -> Error {
    let path = inner.root.path().join(path);
    let because = |cause| Box::new(Failed { what, path, cause });
    match error {
        Error::Denied(cause) => Error::Denied(because(cause)),
        Error::Internal(cause) => Error::Internal(because(cause)),
        Error::Unavailable { retry_after, cause } => Error::Unavailable { retry_after, cause: because(cause) },
        other => other,
    }
}
