//! Background hashing of parts that arrived out of order, while others still arrive. Their files are read back, most
//! likely from the page cache.
//!
//! Invariants: a file is read only if the row of its part still existed after the file was opened; a file stays open
//! for one step only, so that it does not keep a deleted part on the disk; each byte of a part is hashed at most once
//! in its life, because a part that has a chain keeps it.

use crate::catching::Catch;
use crate::local::digest::chain::Due;
use crate::local::files::aside::Opened;
use crate::local::index::parts::{self, PartRow};
use crate::local::operations::read;
use crate::local::shared::Inner;
use crate::{Chain, Digest, Result, Scope, SessionId, Sha256, Sha256State, limits};
use async_trait::async_trait;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Starts a background hasher for what is due. Best effort.
pub(crate) fn begin(inner: &Arc<Inner>, scope: &Scope, session: &SessionId, due: Due) {
    let mut catcher = CatchUp {
        inner: inner.clone(),
        scope: scope.clone(),
        session: session.clone(),
        at: None,
        sha256: Sha256::new(),
        part: None,
    };
    let has_work = match due {
        Due::Nothing => false,
        Due::From(offset, state) => catcher.go_to(offset, &state),
        Due::Unknown => inner.catchers.search(scope, session),
    };
    if has_work {
        inner.catchers.begin(scope, session, Box::new(catcher));
    }
}

/// Hashes the parts of a session one after the other, from the end of the chains on.
pub(crate) struct CatchUp {
    inner: Arc<Inner>,
    scope: Scope,
    session: SessionId,
    /// The offset of the next part; absent until it was found.
    at: Option<u64>,
    /// The digest of everything before that part, and of the bytes read of it.
    sha256: Sha256,
    part: Option<Reading>,
}

/// A part that is being read.
#[derive(Clone)]
struct Reading {
    row: PartRow,
    before: Digest,
    done: u64,
}

#[async_trait]
impl Catch for CatchUp {
    async fn step(&mut self) -> Result<bool> {
        let (scope, session) = (self.scope.clone(), self.session.clone());
        let Some(at) = self.at else {
            let found = self.inner.index.read(move |conn| parts::first_behind(conn, &scope, &session)).await?;
            return Ok(found.is_some_and(|(offset, state)| self.go_to(offset, &state)));
        };
        let (part, sha256) = (self.part.clone(), self.sha256.clone());
        let Some((part, sha256)) = read_on(&self.inner, scope, session, at, part, sha256).await? else {
            self.part = None;
            return Ok(false);
        };
        self.sha256 = sha256;
        let part = self.part.insert(part);
        if part.done == part.row.size {
            let (scope, key) = (self.scope.clone(), part.row.key.clone());
            if let Some(chain) = Chain::made(Some(part.before), Some(&self.sha256)) {
                self.inner.index.note(move |conn| parts::chain(conn, &scope, &key, &chain)).await?;
            }
            self.at = Some(at + part.row.size);
            self.part = None;
        }
        Ok(true)
    }
}

impl CatchUp {
    /// Sets the starting point; false if the state is not valid.
    fn go_to(&mut self, offset: u64, state: &Sha256State) -> bool {
        let state = Sha256::resume(state);
        self.at = state.as_ref().map(|_| offset);
        self.sha256 = state.unwrap_or_default();
        self.at.is_some()
    }
}

/// Hashes the next bytes of the part that is being read, or else of the part that begins at an offset. `None` if the
/// part does not exist any more.
async fn read_on(
    inner: &Arc<Inner>,
    scope: Scope,
    session: SessionId,
    at: u64,
    part: Option<Reading>,
    mut sha256: Sha256,
) -> Result<Option<(Reading, Sha256)>> {
    let before = sha256.so_far();
    let (disk, counting) = (inner.disk.clone(), inner.clone());
    let open = move |conn: &Connection| {
        let part = match part {
            Some(part) => Some(part),
            None => parts::behind(conn, &scope, &session, at)?.map(|row| Reading { row, before, done: 0 }),
        };
        let Some(part) = part else { return Ok(None) };
        let opened = read::open_row(&disk, conn, &scope, &part.row)?;
        Ok(opened.map(|(file, start)| (part, file, start)))
    };
    let hash = move |opened| {
        let Some((mut part, file, start)): Option<(Reading, Opened, u64)> = opened else { return Ok(None) };
        counting.disk.step("read")?;
        let from = start + part.done;
        let bytes = limits::CATCH_STEP.min(part.row.size - part.done);
        read::hash(&file, from, from + bytes, &mut sha256)?;
        counting.counters.hash_caught_up.fetch_add(bytes, Ordering::Relaxed);
        part.done += bytes;
        Ok(Some((part, sha256)))
    };
    inner.index.read_then(open, hash).await
}
