//! Final objects made of parts.
//!
//! If the parts lie in their session's own file exactly as the list wants them, and nothing else ever was in that
//! file, the file itself becomes the object: no byte is read or copied. Parts that lie elsewhere are first copied into
//! their gaps. Otherwise all of them are copied into a new file. For the digest only those parts are read back that have no
//! chain yet.
//!
//! Invariant: the sessions concerned are sealed and their puts have settled from before the rows are read until the
//! object has been published, or has failed with no part changed. A part may be deleted meanwhile: then its row is missed
//! by the transaction that publishes, which fails.

use super::aside::{Aside, Opened};
use super::catch_up::Begun;
use super::index::parts::{self, PartFile, PartRow};
use super::publish::{publish, settle, stat};
use super::put_final::{StagedFile, receipt, stage};
use super::sessions::Seal;
use super::{Inner, blocking, catch_up, layout, read};
use crate::{Digest, Error, FileId, FinalOptions, FinalReceipt, IfExists, Result, Scope, SessionId, Sha256, TempKey};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) async fn assemble(
    inner: &Arc<Inner>,
    scope: Scope,
    file: FileId,
    list: Vec<TempKey>,
    options: FinalOptions,
) -> Result<FinalReceipt> {
    let aside = Aside::default();
    let made = make(inner, scope, file, list, options, &aside).await;
    // A file that was made in vain is gone before anybody is told.
    aside.settled().await;
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
    use super::index::finals::FinalRow;
    inner.health.check()?;
    match stat(inner, &scope, &file).await? {
        Some(FinalRow::Gone(reason)) => return Err(Error::Gone(reason)),
        Some(FinalRow::Live(_)) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
        _ => {}
    }
    // In one order everywhere. Nobody waits for an assembly's seal here, so nobody waits in a circle.
    let sessions: BTreeSet<SessionId> = list.iter().map(|key| key.session.clone()).collect();
    let (mut seals, mut pauses, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    for session in &sessions {
        seals.push(inner.sessions.seal_for_assembly(&scope, session).await?);
        inner.sessions.interrupt(&scope, session).await;
        inner.pending.settled(&scope, session).await;
        // What is not caught up with by now is hashed here.
        let (pause, part) = catch_up::pause(inner, &scope, session).await;
        pauses.push(pause);
        begun.extend(part);
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
    let sha256 = on_parts(inner, &scope, &rows, move |inner, scope, rows| digest(inner, scope, rows, &begun)).await?;
    if options.expected.sha256.is_some_and(|expected| expected != sha256) {
        return Err(Error::DigestMismatch);
    }
    let if_exists = options.if_exists;
    let receipt = receipt(&scope, file, size, sha256, options);

    let consumed = Consumed { scope: scope.clone(), sessions: sessions.into_iter().collect(), list };
    let there = match stat(inner, &scope, &receipt.file).await? {
        Some(row) => settle(row, &receipt, if_exists)?,
        None if in_place(inner, &scope, &rows).await? => {
            let source = layout::placed(&scope, &rows[0].key.session);
            let path = source.clone();
            on_parts(inner, &scope, &rows, move |inner, scope, rows| complete(inner, scope, rows, &path, size)).await?;
            let rows = consumed.clone();
            let with_row = move |conn: &Connection| rows.remove_rows(conn, true);
            match publish(inner, &scope, receipt, source, if_exists, with_row).await {
                Ok(there) => there,
                Err(failed) => {
                    if failed.in_doubt {
                        // The file may be the object: nothing may be placed in it until the next opening can tell.
                        seals.into_iter().for_each(Seal::keep_in_doubt);
                    }
                    return Err(failed.error);
                }
            }
        }
        None => {
            let StagedFile { file, name, in_use } = stage(inner, aside).await?;
            on_parts(inner, &scope, &rows, move |inner, scope, rows| copy(inner, scope, rows, &file)).await?;
            let rows = consumed.clone();
            let source = name.path().to_owned();
            let with_row = move |conn: &Connection| rows.remove_rows(conn, false);
            publish(inner, &scope, receipt, source, if_exists, with_row).await.map_err(|failed| {
                if failed.in_doubt {
                    name.keep();
                    in_use.keep_in_doubt();
                }
                failed.error
            })?
        }
    };
    if there.replayed {
        // Our row was not made, whether it was there before or another one was faster, so no part went with it.
        let rows = consumed.clone();
        inner.free(move |conn| rows.remove_rows(conn, false)).await?;
    }
    consumed.remove_data(inner).await;
    // Until here nobody could place anything in a file that has become the object.
    drop(seals);
    Ok(there)
}

/// The rows of the parts, all of which must be there.
async fn rows_of(inner: &Arc<Inner>, scope: &Scope, list: &[TempKey]) -> Result<Vec<PartRow>> {
    let (scope, list) = (scope.clone(), list.to_vec());
    let row = move |conn: &Connection, key: &TempKey| parts::by_key(conn, &scope, key)?.ok_or(Error::NotFound);
    inner.index.read(move |conn| list.iter().map(|key| row(conn, key)).collect()).await
}

/// Works on the data of parts, off the async threads. A part that is deleted meanwhile is missed as a file first.
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

/// The parts that an assembly uses up.
#[derive(Clone)]
struct Consumed {
    scope: Scope,
    sessions: Vec<SessionId>,
    list: Vec<TempKey>,
}

impl Consumed {
    /// Takes the parts out of the index, where all of them must still be. With `file` the session's own file has become
    /// the object, and all that was said of it goes too.
    fn remove_rows(&self, conn: &Connection, file: bool) -> Result<()> {
        for key in &self.list {
            parts::delete(conn, &self.scope, key)?.ok_or(Error::NotFound)?;
        }
        for session in &self.sessions {
            if file {
                parts::forget_withdrawn(conn, &self.scope, session)?;
            } else if parts::list(conn, &self.scope, session, None, 1)?.is_empty() {
                parts::clear(conn, &self.scope, session)?;
            }
        }
        Ok(())
    }

    /// Removes the files that no row speaks of any more. What can't be removed now, a sweep removes.
    async fn remove_data(self, inner: &Arc<Inner>) {
        let removed = inner.index.read({
            let this = self.clone();
            move |conn| {
                let placed = |session| parts::session_has_placed(conn, &this.scope, session);
                this.sessions.iter().map(placed).collect::<Result<Vec<bool>>>()
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
        for key in &self.list {
            inner.disk.unlink(&layout::own(&self.scope, &key.session, &key.token))?;
        }
        for (session, placed) in self.sessions.iter().zip(placed) {
            if !placed {
                inner.disk.unlink(&layout::placed(&self.scope, session))?;
                inner.sessions.trust(&self.scope, session);
            }
            inner.disk.remove_dir(&layout::session_dir(&self.scope, session))?;
        }
        Ok(())
    }
}

/// Whether the session's own file can become the object: one session, at least one part of the list in its place, and
/// no range of that file, withdrawn ones included, that is not a part of the list in its place.
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

/// The files that parts lie in, opened once each.
struct Sources<'a> {
    inner: &'a Inner,
    scope: &'a Scope,
    open: HashMap<PathBuf, Opened>,
}

impl Sources<'_> {
    /// The file of a part, and where the part begins in it.
    fn of(&mut self, row: &PartRow) -> Result<(&File, u64)> {
        let (path, start) = read::place(self.scope, row);
        if !self.open.contains_key(&path) {
            // A list may name as many files as it has parts; one at a time stays open.
            self.open.clear();
            let missing = || Error::internal(format!("the data of part {} is missing", row.key));
            self.open.insert(path.clone(), self.inner.disk.open_read(&path)?.ok_or_else(missing)?);
        }
        let file = self.open.get(&path).ok_or_else(|| Error::internal("no source"))?;
        Ok((file, start))
    }
}

/// The digest of the whole: parts with a chain are passed, the others read, from where somebody has come with them.
fn digest(inner: &Inner, scope: &Scope, rows: &[PartRow], begun: &[Begun]) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    let mut sources = Sources { inner, scope, open: HashMap::new() };
    // An empty part changes nothing.
    for row in rows.iter().filter(|row| row.size > 0) {
        if sha256.pass(row.chain.as_ref()) {
            continue;
        }
        let mut from = 0;
        let before = sha256.so_far();
        if let Some(begun) = begun.iter().find(|begun| begun.key == row.key && begun.before == before) {
            (from, sha256) = (begun.done, begun.sha256.clone());
        }
        inner.disk.step("read")?;
        let (file, start) = sources.of(row)?;
        read::hash(file, start + from, start + row.size, &mut sha256)?;
        inner.counters.hash_read_back.fetch_add(row.size - from, Ordering::Relaxed);
    }
    Ok(sha256.finish())
}

/// Makes the session's own file the whole object: gaps filled from the parts that lie elsewhere, nothing beyond the end.
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
fn copy(inner: &Inner, scope: &Scope, rows: &[PartRow], target: &Opened) -> Result<()> {
    let mut sources = Sources { inner, scope, open: HashMap::new() };
    for row in rows.iter().filter(|row| row.size > 0) {
        copy_part(inner, sources.of(row)?, target, row.size)?;
    }
    inner.disk.sync_file(target)?;
    inner.disk.sync_dir(layout::STAGING.as_ref())
}

/// Copies a part to where another file stands. The standard library lets the kernel do it.
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
