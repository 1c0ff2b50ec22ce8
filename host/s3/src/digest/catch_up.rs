//! Hashes, in the background, parts that arrived out of order.
//!
//! The hasher reads a part back from the store, a piece at a time, and only while there is memory that no upload needs.
//! It writes the chain into the part's slot if the slot is unchanged, so that other processes find the chain. A late
//! write, or one for a deleted part, changes nothing.
//!
//! Invariant: each process hashes each byte of a part at most once, because a part keeps its chain.

use crate::content::reading::{Reading, Source};
use crate::keys::ObjectKey;
use crate::limits;
use crate::operations::list;
use crate::shared::Inner;
use crate::slots::found::read_part_slot;
use crate::slots::receipt::{Part, SlotContent, StoredChain};
use crate::slots::slot::live;
use crate::slots::slot::{Slot, State};
use async_trait::async_trait;
use bytes::Bytes;
use portico_store::catching::Catch;
use portico_store::stream::ByteStream;
use portico_store::{Digest, Result, Scope, SessionId, Sha256, TempKey};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause while uploads need all memory.
const PAUSE: Duration = Duration::from_millis(250);

/// Schedules the background hasher after a part was stored. Both a part and its predecessor call this, so every part
/// without a chain whose predecessor has one is noticed. Returns at once.
pub(crate) fn schedule(inner: &Arc<Inner>, scope: &Scope, key: &TempKey, part: &Part) {
    let Some(offset) = part.offset else { return };
    let session = &key.session;
    let known = |number: Option<u32>| {
        let object = inner.keys.part(scope, session, number?);
        live(inner.cache.get(&object))
    };
    let ends = offset.saturating_add(part.size);
    let (number, at, sha256) = match part.sha256_at(ends) {
        Some(sha256) => {
            let number = key.number.checked_add(1);
            let is_behind = known(number).is_some_and(|next| next.offset == Some(ends) && next.chain.is_none());
            // A session whose parts come in order needs no search.
            if !is_behind && !inner.catchers.has_searched(scope, session) {
                return;
            }
            (number, ends, Some(sha256))
        }
        None => {
            (Some(key.number), offset, known(key.number.checked_sub(1)).and_then(|before| before.sha256_at(offset)))
        }
    };
    let Some(number) = number else { return };
    let (here, session) = (inner.clone(), session.clone());
    let catcher = BackgroundHasher { inner: here, scope: scope.clone(), session, number, at, sha256, part: None };
    inner.catchers.begin(scope, &key.session, Box::new(catcher));
}

/// Hashes the parts of a session in sequence from the end of the chains.
pub(crate) struct BackgroundHasher {
    inner: Arc<Inner>,
    scope: Scope,
    session: SessionId,
    /// Number and offset of the next part.
    number: u32,
    at: u64,
    /// The hash state of all content before that part and of its bytes so far. Absent until it is looked up.
    sha256: Option<Sha256>,
    part: Option<Behind>,
}

/// A part that is being read.
struct Behind {
    slot: Slot,
    part: Part,
    before: Digest,
    done: u64,
}

#[async_trait]
impl Catch for BackgroundHasher {
    async fn step(&mut self) -> Result<bool> {
        let inner = self.inner.clone();
        let object = self.object(self.number);
        let Some(sha256) = &mut self.sha256 else { return self.find().await };
        if self.part.is_none() {
            let slot = match inner.cache.get(&object) {
                Some(slot) => Some(slot),
                None => read_part_slot(&inner, &object).await?,
            };
            let Some((slot, part)) = slot.and_then(|slot| Some((slot.clone(), live(Some(slot))?))) else {
                return Ok(false);
            };
            if part.offset != Some(self.at) {
                return Ok(false);
            }
            if part.chain.is_some() {
                // Another process was faster, or the chain does not fit and the assembly has to read the part.
                return Ok(sha256.pass(part.chain().as_ref()) && self.pass(part.size));
            }
            self.part = Some(Behind { slot, part, before: sha256.so_far(), done: 0 });
        }
        let Some(behind) = &mut self.part else { return Ok(false) };
        if behind.done < behind.part.size {
            let Some(_memory) = inner.budget.take(limits::DOWNLOAD_MEMORY) else {
                tokio::time::sleep(PAUSE).await;
                return Ok(true);
            };
            let token = behind.part.token()?;
            let key = TempKey { session: self.session.clone(), number: self.number, token };
            let end = behind.part.size.min(behind.done + inner.options.part_size as u64);
            let source = Source { object: inner.keys.temp_data(&self.scope, &key), size: behind.part.size };
            let mut content = Reading::new(&inner, source, behind.done..end);
            while let Some(chunk) = content.next().await? {
                sha256.update(&chunk);
                behind.done += chunk.len() as u64;
                inner.counters.caught_up.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            return Ok(true);
        }
        let part = Part { chain: StoredChain::made(Some(behind.before), Some(sha256)), ..behind.part.clone() };
        let is_there = write(&inner, object, behind.slot.clone(), part).await?;
        let size = behind.part.size;
        self.part = None;
        Ok(is_there && self.pass(size))
    }
}

impl BackgroundHasher {
    fn object(&self, number: u32) -> ObjectKey {
        self.inner.keys.part(&self.scope, &self.session, number)
    }

    /// Moves to the next part; returns false if there can be none.
    fn pass(&mut self, size: u64) -> bool {
        let next = self.number.checked_add(1).zip(self.at.checked_add(size));
        (self.number, self.at) = next.unwrap_or((self.number, self.at));
        next.is_some()
    }

    /// Looks up the initial hash state: in the preceding part, or, once for a session, at the end of the chains of all
    /// parts.
    async fn find(&mut self) -> Result<bool> {
        if let Some(before) = self.number.checked_sub(1) {
            let there = read_part_slot(&self.inner, &self.object(before)).await?;
            self.sha256 = live(there).and_then(|part| part.sha256_at(self.at));
        }
        if self.sha256.is_some() {
            return Ok(true);
        }
        if !self.inner.catchers.search(&self.scope, &self.session) {
            return Ok(false);
        }
        let (mut before, mut after): (Option<Part>, _) = (None, None);
        loop {
            let (slots, next) = list::part_slots(&self.inner, &self.scope, &self.session, after).await?;
            for (number, slot) in slots {
                let part = live(Some(slot));
                if let Some(there) = part.as_ref().filter(|part| part.chain.is_none())
                    && let Some(offset) = there.offset
                    && let Some(sha256) = before.and_then(|before| before.sha256_at(offset))
                {
                    (self.number, self.at, self.sha256) = (number, offset, Some(sha256));
                    return Ok(true);
                }
                before = part;
            }
            after = next;
            if after.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Writes the chain of a part into its slot; returns false if the part is gone.
///
/// A write is never cancelled with its hasher, because the server could execute it after [`crate::S3Store::settle`]
/// returned.
async fn write(inner: &Arc<Inner>, object: ObjectKey, seen: Slot, part: Part) -> Result<bool> {
    let state = State::Live(SlotContent::Part(part.clone()), Bytes::new());
    if inner.slots.sole_owner.is_some() {
        // Without conditions a late write would restore a deleted part. So only this process gets the chain.
        inner.cache.put(&object, &Slot { state, ..seen });
        return Ok(true);
    }
    let written = inner.detached(|inner| async move {
        let there = match inner.slots.write(&object, Some(&seen), &state).await? {
            Ok(slot) => Some(slot),
            Err(there) => there,
        };
        let is_there = live(there.clone()).is_some_and(|there| there.data == part.data);
        match there.filter(|_| is_there) {
            Some(slot) => inner.cache.put(&object, &slot),
            None => inner.cache.forget(&object),
        }
        Ok(is_there)
    });
    written.await
}
