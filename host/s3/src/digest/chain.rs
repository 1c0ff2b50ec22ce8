//! The SHA-256 of a whole object, carried from part to part.
//!
//! If the state of the preceding content is known when a part begins, the part is hashed from there while it arrives.
//! If the state becomes known while the part is in memory and being sent, it is hashed from there then; see `ingest.rs`
//! and `board.rs`. Any other part is hashed in the background; see `catch_up.rs`. The part's receipt keeps the result
//! as its chain. The assembly detects a chain that does not fit, so the predecessor may come from the cache or be
//! absent.

use crate::digest::board::Seat;
use crate::shared::Inner;
use crate::slots::receipt::Part;
use crate::slots::slot::live;
use portico_store::{Digest, Result, Scope, SessionId, Sha256};

/// Returns the hash state of the content before a part, if known. `previous` is the number of the predecessor.
pub(crate) async fn before(
    inner: &Inner,
    seat: &Seat,
    scope: &Scope,
    session: &SessionId,
    previous: Option<u32>,
    offset: u64,
) -> Result<Option<Sha256>> {
    if offset == 0 {
        return Ok(Some(Sha256::new()));
    }
    if let Some(known) = seat.get(offset) {
        return Ok(Some(known));
    }
    let Some(number) = previous else { return Ok(None) };
    let object = inner.keys.part(scope, session, number);
    let slot = match inner.cache.get(&object) {
        Some(slot) => Some(slot),
        None => inner.slots.get(&object).await?,
    };
    Ok(live(slot).and_then(|part| part.sha256_at(offset)))
}

/// Returns the digest of a list of parts, if their chains provide it.
pub(crate) fn along(parts: &[Part]) -> Option<Digest> {
    let mut sha256 = Sha256::new();
    // An empty part changes nothing.
    let passed = parts.iter().filter(|part| part.size > 0).all(|part| sha256.pass(part.chain().as_ref()));
    passed.then(|| sha256.finish())
}
