//! Final objects made of parts.
//!
//! If the parts lie in their session's own file at their offsets, and that file never held anything else, the file
//! itself becomes the object: no byte is read or copied. Parts that lie elsewhere are first copied into their gaps.
//! Otherwise all parts are copied into a new file. Only parts without a chain are read back for the digest.
//!
//! Invariant: the sessions are sealed and none of their puts can write, from before the rows are read until the object
//! is published, or has failed with no part changed. If a part is deleted meanwhile, the publishing transaction misses
//! its row and fails.

use crate::local::files::aside::{Aside, Opened};
use crate::local::files::layout;
use crate::local::files::staging::StagedFile;
use crate::local::index::parts::{self, PartFile, PartRow};
use crate::local::operations::publish::{compare_existing, publish, stat};
use crate::local::operations::put_final::receipt;
use crate::local::operations::read;
use crate::local::sessions::Seal;
use crate::local::shared::{Inner, blocking};
use crate::{
    Digest, Error, FileId, FinalOptions, FinalReceipt, IfExists, Result, Scope, SessionId, Sha256, TempKey, Token,
};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) async fn assemble(
    inner: &Arc<Inner>,
    scope: Scope,
    file: FileId,
    list: Vec<TempKey>,
    options: FinalOptions,
) -> Result<FinalReceipt> {
    let aside = inner.asides.put();
    let made = make(inner, scope, file, list, options, &aside).await;
    // An unused new file is removed before the caller continues.
    aside.wait().await;
    made
}

async fn make(
    inner: &Arc<Inner>,
    scope: Scope,
    file: FileId,
    list: Vec<TempKey>,
    options: FinalOptions,
    aside: &Aside,
) -> Result<FinalReceipt> {
    use crate::local::index::finals::FinalRow;
    inner.health.check()?;
    match stat(inner, &scope, &file).await? {
        Some(FinalRow::Gone(reason)) => return Err(Error::Gone(reason)),
        Some(FinalRow::Live(_)) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
        _ => {}
    }
    // All assemblies seal in the same order. None waits for the seal of another here, so no deadlock can occur.
    let sessions: BTreeSet<SessionId> = list.iter().map(|key| key.session.clone()).collect();
    let (mut seals, mut pauses) = (Vec::new(), Vec::new());
    for session in &sessions {
        seals.push(inner.sessions.seal_for_assembly(&scope, session).await?);
        inner.sessions.interrupt(&scope, session).await;
        // This assembly hashes what the background has not hashed by now.
        pauses.push(inner.catchers.pause(&scope, session).await);
    }
    let rows = Arc::new(rows_of(inner, &scope, &list).await?);
    let size = rows.iter().try_fold(0u64, |sum, row| sum.checked_add(row.size)).unwrap_or(u64::MAX);
    match options.expected.size {
        Some(expected) if expected != size => return Err(Error::SizeMismatch { expected, actual: size }),
        _ if size > inner.options.max_object_size => {
            return Err(Error::TooLarge { limit: inner.options.max_object_size });
        }
        _ => {}
    }
    let sha256 = on_parts(inner, &scope, &rows, digest).await?;
    if options.expected.sha256.is_some_and(|expected| expected != sha256) {
        return Err(Error::DigestMismatch);
    }
    let if_exists = options.if_exists;
    let receipt = receipt(&scope, file, size, sha256, options);

    let consumed = Consumed::new(scope.clone(), &rows);
    let there = match stat(inner, &scope, &receipt.file).await? {
        Some(row) => compare_existing(row, &receipt, if_exists)?,
        None => {
            let source = Source::make(inner, &scope, &rows, size, aside).await?;
            let lock = inner.names.lock(&scope, &receipt.file).await?;
            let (of, consumed) = (scope.clone(), consumed.clone());
            let published = blocking(inner, move |inner| {
                let is_file = matches!(source, Source::Placed(_));
                let with_row = move |conn: &Connection| consumed.remove_rows(conn, is_file);
                let published = publish(inner, lock, &of, receipt, source.path(), if_exists, with_row);
                source.end(published.as_ref().is_err_and(|failed| failed.in_doubt));
                Ok((published, is_file))
            });
            match published.await? {
                (Ok(there), _) => there,
                (Err(failed), is_file) => {
                    if failed.in_doubt && is_file {
                        // The file may be the object: nothing may be placed in it until the next opening can tell.
                        seals.into_iter().for_each(Seal::keep_in_doubt);
                    }
                    return Err(failed.error);
                }
            }
        }
    };
    if there.replayed {
        // An earlier row made the object, so its transaction removed no parts.
        let rows = consumed.clone();
        inner.index.free(move |conn| rows.remove_rows(conn, false)).await?;
    }
    consumed.remove_data(inner).await;
    // Until here nothing could be placed in a file that has become the object.
    drop(seals);
    Ok(there)
}

/// The file that becomes the object.
enum Source {
    /// The session's own file, completed where it is.
    Placed(PathBuf),
    /// A new file with a copy of all parts.
    Staged(StagedFile),
}

impl Source {
    /// Chooses the file, and completes it as the object, durably.
    async fn make(
        inner: &Arc<Inner>,
        scope: &Scope,
        rows: &Arc<Vec<PartRow>>,
        size: u64,
        aside: &Aside,
    ) -> Result<Source> {
        let first = rows.first().map(|row| &row.key.session);
        match first {
            Some(session) if in_place(inner, scope, rows).await? => {
                let path = layout::placed(scope, session);
                let file = path.clone();
                on_parts(inner, scope, rows, move |inner, scope, rows| complete(inner, scope, rows, &file, size))
                    .await?;
                Ok(Source::Placed(path))
            }
            _ => {
                let staged = inner.staging.file(&inner.disk, aside)?;
                on_parts(inner, scope, rows, move |inner, scope, rows| {
                    copy(inner, scope, rows, &staged)?;
                    Ok(Source::Staged(staged))
                })
                .await
            }
        }
    }

    /// The path below the root.
    fn path(&self) -> &Path {
        match self {
            Source::Placed(path) => path,
            Source::Staged(staged) => staged.path(),
        }
    }

    /// Removes the staged name of a new file, unless the object is in doubt. Blocks.
    fn end(self, in_doubt: bool) {
        match self {
            Source::Placed(_) => {}
            Source::Staged(staged) if in_doubt => staged.keep_in_doubt(),
            Source::Staged(staged) => staged.remove(),
        }
    }
}

/// The rows of the parts.
///
/// # Errors
/// [`Error::NotFound`] if one is missing.
async fn rows_of(inner: &Arc<Inner>, scope: &Scope, list: &[TempKey]) -> Result<Vec<PartRow>> {
    let (scope, list) = (scope.clone(), list.to_vec());
    let row = move |conn: &Connection, key: &TempKey| parts::by_key(conn, &scope, key)?.ok_or(Error::NotFound);
    inner.index.read(move |conn| list.iter().map(|key| row(conn, key)).collect()).await
}

/// Works on the data of parts, off the async threads. If a part was deleted meanwhile, returns that it was not found.
async fn on_parts<T: Send + 'static>(
    inner: &Arc<Inner>,
    scope: &Scope,
    rows: &Arc<Vec<PartRow>>,
    work: impl FnOnce(&Inner, &Scope, &[PartRow]) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (of, parts) = (scope.clone(), rows.clone());
    match blocking(inner, move |inner| work(inner, &of, &parts)).await {
        Err(error @ Error::Internal(_)) => {
            let list: Vec<TempKey> = rows.iter().map(|row| row.key.clone()).collect();
            rows_of(inner, scope, &list).await.and(Err(error))
        }
        worked => worked,
    }
}

/// The parts that an assembly consumes.
#[derive(Clone)]
struct Consumed {
    scope: Scope,
    /// The tokens of the parts of each session, by number.
    sessions: Arc<BTreeMap<SessionId, BTreeMap<u32, Token>>>,
    /// The parts that have files of their own.
    own: Arc<Vec<TempKey>>,
}

impl Consumed {
    fn new(scope: Scope, rows: &[PartRow]) -> Self {
        let mut sessions: BTreeMap<SessionId, BTreeMap<u32, Token>> = BTreeMap::new();
        for key in rows.iter().map(|row| &row.key) {
            sessions.entry(key.session.clone()).or_default().insert(key.number, key.token.clone());
        }
        let own = rows.iter().filter(|row| row.file == PartFile::Own).map(|row| row.key.clone());
        Consumed { scope, sessions: Arc::new(sessions), own: Arc::new(own.collect()) }
    }

    /// Removes the parts from the index, where all of them must still exist. With `file` the session's own file has
    /// become the object, and its withdrawn ranges go too.
    fn remove_rows(&self, conn: &Connection, file: bool) -> Result<()> {
        for (session, tokens) in self.sessions.iter() {
            parts::consume(conn, &self.scope, session, tokens, file)?;
        }
        Ok(())
    }

    /// Removes the files that no row names any more. A sweep removes those that can't be removed now.
    async fn remove_data(self, inner: &Arc<Inner>) {
        let removed = inner.index.read({
            let this = self.clone();
            move |conn| {
                let placed = |session| parts::session_has_placed(conn, &this.scope, session);
                this.sessions.keys().map(placed).collect::<Result<Vec<bool>>>()
            }
        });
        let removed = match removed.await {
            Ok(placed) => blocking(inner, move |inner| self.unlink(inner, &placed)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(error = %error.told(), "parts of an assembled object are left behind; the next sweep removes them");
        }
    }

    fn unlink(&self, inner: &Inner, placed: &[bool]) -> Result<()> {
        for key in self.own.iter() {
            inner.disk.unlink(&layout::own(&self.scope, &key.session, &key.token))?;
        }
        for (session, placed) in self.sessions.keys().zip(placed) {
            if !placed {
                inner.disk.unlink(&layout::placed(&self.scope, session))?;
                inner.sessions.trust(&self.scope, session);
            }
            inner.disk.remove_dir(&layout::session_dir(&self.scope, session))?;
        }
        Ok(())
    }
}

/// Whether the session's own file can become the object: all parts are of one session, at least one of them is placed,
/// and each range of that file, withdrawn ranges included, is a part of the list at its offset.
async fn in_place(inner: &Arc<Inner>, scope: &Scope, rows: &[PartRow]) -> Result<bool> {
    let Some(first) = rows.first().filter(|first| !inner.sessions.is_distrusted(scope, &first.key.session)) else {
        return Ok(false);
    };
    let (mut at, mut places) = (0, 0);
    for row in rows {
        if row.key.session != first.key.session {
            return Ok(false);
        }
        if row.file == PartFile::Placed {
            if row.offset != Some(at) {
                return Ok(false);
            }
            places += 1;
        }
        at += row.size;
    }
    let (scope, session) = (scope.clone(), first.key.session.clone());
    let counts = inner.index.read(move |conn| parts::placed_counts(conn, &scope, &session)).await?;
    Ok(places > 0 && counts == (places, 0))
}

/// The files that contain the parts, opened once each.
struct Sources<'a> {
    inner: &'a Inner,
    scope: &'a Scope,
    open: HashMap<PathBuf, Opened>,
}

impl Sources<'_> {
    /// The file of a part, and the offset of the part in it.
    fn of(&mut self, row: &PartRow) -> Result<(&File, u64)> {
        let (path, start) = read::place(self.scope, row);
        if !self.open.contains_key(&path) {
            // A list may name as many files as parts; only one of them stays open at a time.
            self.open.clear();
            let missing = || Error::internal(format!("the data of part {} is missing", row.key));
            self.open.insert(path.clone(), self.inner.disk.open_read(&path)?.ok_or_else(missing)?);
        }
        let file = self.open.get(&path).ok_or_else(|| Error::internal("no source"))?;
        Ok((file, start))
    }
}

/// Computes the digest of the whole: skips the parts whose chain fits, and reads the others.
fn digest(inner: &Inner, scope: &Scope, rows: &[PartRow]) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    let mut sources = Sources { inner, scope, open: HashMap::new() };
    // An empty part changes nothing.
    for row in rows.iter().filter(|row| row.size > 0) {
        if sha256.pass(row.chain.as_ref()) {
            continue;
        }
        inner.disk.step("read")?;
        let (file, start) = sources.of(row)?;
        read::hash(file, start, start + row.size, &mut sha256)?;
        inner.counters.hash_read_back.fetch_add(row.size, Ordering::Relaxed);
    }
    Ok(sha256.finish())
}

/// Completes the session's own file as the object: copies the other parts into their gaps, and cuts the file to its
/// size.
fn complete(inner: &Inner, scope: &Scope, rows: &[PartRow], path: &Path, size: u64) -> Result<()> {
    let file = inner.disk.open_rw(path)?;
    let mut sources = Sources { inner, scope, open: HashMap::new() };
    let mut at = 0;
    for row in rows {
        if row.file == PartFile::Own && row.size > 0 {
            (&*file).seek(SeekFrom::Start(at))?;
            copy_part(inner, sources.of(row)?, &file, row.size)?;
        }
        at += row.size;
    }
    inner.disk.step("truncate")?;
    file.set_len(size)?;
    let session = rows.first().map(|row| &row.key.session);
    inner.disk.sync_file(&file).inspect_err(|_| session.into_iter().for_each(|of| inner.sessions.distrust(scope, of)))
}

/// Copies all parts into a new file, durably.
fn copy(inner: &Inner, scope: &Scope, rows: &[PartRow], target: &StagedFile) -> Result<()> {
    let mut sources = Sources { inner, scope, open: HashMap::new() };
    for row in rows.iter().filter(|row| row.size > 0) {
        copy_part(inner, sources.of(row)?, target.file()?, row.size)?;
    }
    target.sync()
}

/// Copies a part to the current position of another file. The standard library lets the kernel copy.
fn copy_part(inner: &Inner, (mut source, start): (&File, u64), mut target: &File, size: u64) -> Result<()> {
    inner.disk.step("copy")?;
    inner.disk.room()?;
    source.seek(SeekFrom::Start(start))?;
    let copied = std::io::copy(&mut source.take(size), &mut target)?;
    if copied != size {
        return Err(Error::internal(format!("the data of a part ends after {copied} of {size} bytes")));
    }
    inner.counters.assembly_copied.fetch_add(size, Ordering::Relaxed);
    Ok(())
}
