//! Parts that came out of order, hashed in the background while others still arrive: read back from their files, most
//! likely out of the page cache.
//!
//! Invariants: what is read is the content of a row that was still there after its file had been opened; a file is held
//! open for one step only, so that no deleted part stays on the disk for it; each byte of a part is hashed at most once in
//! its life, whatever is deleted and put again around it, because a part that has a chain keeps it.

use super::chain::{self, Due};
use super::index::parts::{self, PartRow};
use super::{Inner, blocking, read};
use crate::catching::Catch;
use crate::{Digest, Result, Scope, SessionId, Sha256, Sha256State, TempKey, limits};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sees to it that what is due is done. Nobody waits for that.
pub(super) fn begin(inner: &Arc<Inner>, scope: &Scope, session: &SessionId, due: Due) {
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
        inner.catchers.begin(scope, session, catcher);
    }
}

/// What has been read of a part whose end was not reached.
pub(super) struct Begun {
    pub(super) key: TempKey,
    /// The digest of what was before it.
    pub(super) before: Digest,
    /// Bytes that have been read.
    pub(super) done: u64,
    /// The digest up to there.
    pub(super) sha256: Sha256,
}

/// Ends the catching up with a session for as long as what is answered first is there. Answers what had been begun, too.
pub(super) async fn pause(inner: &Inner, scope: &Scope, session: &SessionId) -> (impl Send + use<>, Option<Begun>) {
    let (pause, left) = inner.catchers.pause(scope, session).await;
    let begun = left.and_then(|left| {
        let Reading { row, before, done } = left.part?;
        Some(Begun { key: row.key, before, done, sha256: left.sha256 })
    });
    (pause, begun)
}

/// Hashes the parts of a session one after the other from where the chains end.
pub(super) struct CatchUp {
    inner: Arc<Inner>,
    scope: Scope,
    session: SessionId,
    /// The offset of the next part; absent until it has been searched for.
    at: Option<u64>,
    /// The digest of what is before that part, and of what has been read of it.
    sha256: Sha256,
    part: Option<Reading>,
}

/// A part that is being read.
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
        if self.part.is_none() {
            let next = self.inner.index.read(move |conn| parts::behind(conn, &scope, &session, at)).await?;
            self.part = next.map(|row| Reading { row, before: self.sha256.so_far(), done: 0 });
        }
        let Some(part) = &mut self.part else { return Ok(false) };
        let rest = part.row.size - part.done;
        if rest > 0 {
            let step = rest.min(limits::CATCH_STEP);
            let read = read_on(&self.inner, &self.scope, part, step, self.sha256.clone()).await?;
            let Some(sha256) = read else { return Ok(false) };
            self.sha256 = sha256;
            part.done += step;
        }
        if part.done == part.row.size {
            let (scope, key) = (self.scope.clone(), part.row.key.clone());
            if let Some(chain) = chain::made(Some(part.before), Some(&self.sha256)) {
                self.inner.note(move |conn| parts::chain(conn, &scope, &key, &chain)).await?;
            }
            self.at = Some(at + part.row.size);
            self.part = None;
        }
        Ok(true)
    }
}

impl CatchUp {
    /// Says where it begins; false if that is no state.
    fn go_to(&mut self, offset: u64, state: &Sha256State) -> bool {
        let state = Sha256::resume(state);
        self.at = state.as_ref().map(|_| offset);
        self.sha256 = state.unwrap_or_default();
        self.at.is_some()
    }
}

/// Takes the next bytes of a part into a digest; `None` if the part is no more.
async fn read_on(
    inner: &Arc<Inner>,
    scope: &Scope,
    part: &Reading,
    bytes: u64,
    mut sha256: Sha256,
) -> Result<Option<Sha256>> {
    let Some((file, start)) = read::open_part(inner, scope, &part.row).await? else { return Ok(None) };
    let start = start + part.done;
    blocking(inner, move |inner| {
        inner.disk.step("read")?;
        read::hash(&file, start, start + bytes, &mut sha256)?;
        inner.counters.hash_caught_up.fetch_add(bytes, Ordering::Relaxed);
        Ok(Some(sha256))
    })
    .await
}
