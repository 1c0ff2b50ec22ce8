//! Parts that are acknowledged before they are hashed to their end: what is done when that has come.

use super::hashing::{Digests, Pending, Step};
use super::index::parts::{self, PartRow};
use super::{Inner, catch_up, chain};
use crate::lane::Lane;
use crate::{Scope, TempKey};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Hashing that has not come to its end when its part is about to be there.
pub(super) struct Later {
    lane: Lane<Digests>,
    pending: Pending,
}

impl Later {
    /// Says that a part is pending from now on.
    pub(super) fn new(inner: &Inner, scope: &Scope, key: &TempKey, lane: Lane<Digests>) -> Self {
        Later { lane, pending: inner.pending.add(scope, key) }
    }

    /// The part is there; whoever comes behind it goes on from its end.
    pub(super) fn go_on(self, inner: &Arc<Inner>, scope: &Scope, row: PartRow) {
        let Later { lane, pending } = self;
        let (parts, key) = (inner.pending.clone(), row.key.clone());
        let ends = row.offset.map(|offset| offset + row.size);
        inner.counters.hash_later.fetch_add(row.size, Ordering::Relaxed);
        let ended = {
            // A store that was closed meanwhile is not kept open for it.
            let (inner, scope) = (Arc::downgrade(inner), scope.clone());
            move |digests: &Digests| {
                if let (Some(chain), Some(inner)) = (digests.chain(), inner.upgrade()) {
                    tokio::spawn(note(inner, scope, PartRow { chain: Some(chain), ..row }, pending));
                }
            }
        };
        let queued = lane.queue(Step::End(Box::new(ended)));
        if let (Ok(()), Some(ends)) = (queued, ends) {
            parts.offer(scope, &key, ends, lane);
        }
    }
}

/// Notes the chain of a part that was pending, and sees to what is behind it.
async fn note(inner: Arc<Inner>, scope: Scope, row: PartRow, pending: Pending) {
    let chained = {
        let (scope, row, parts) = (scope.clone(), row.clone(), inner.pending.clone());
        move |conn: &Connection| {
            let Some(chain) = &row.chain else { return Ok(chain::Due::Nothing) };
            let is_there = parts::chain(conn, &scope, &row.key, chain)?;
            if is_there { chain::due(conn, &scope, &row, &parts) } else { Ok(chain::Due::Nothing) }
        }
    };
    match inner.note(chained).await {
        Ok(due) => catch_up::begin(&inner, &scope, &row.key.session, due),
        Err(error) => {
            tracing::debug!(session = %row.key.session, error = %error.told(), "a part is left to be hashed by the assembly");
        }
    }
    drop(pending);
}
