//! The SHA-256 of a whole object, carried from part to part.
//!
//! A part that arrives when the state before it is known is hashed on from there while it arrives. If that becomes known only
//! when all of the part has arrived and is still in memory, it is hashed from there while it is being sent; see `data.rs` and
//! `board.rs`. Any other part is hashed in the background; see `catch_up.rs`. What is found stays in the part's receipt as
//! its chain. A chain that does not fit is found at the assembly; so a predecessor may come from the cache, or may not be
//! there yet.

use crate::digest::board::Seat;
use crate::shared::Inner;
use crate::slots::receipt::Part;
use crate::slots::slot::live;
use portico_store::{Digest, Result, Scope, SessionId, Sha256};

/// The digest to go on from for a part. Absent if it can't be told: the predecessor is looked for under the number before.
pub(crate) async fn before(
    inner: &Inner,
    seat: &Seat,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    offset: u64,
) -> Result<Option<Sha256>> {
    if offset == 0 {
        return Ok(Some(Sha256::new()));
    }
    if let Some(known) = seat.get(offset) {
        return Ok(Some(known));
    }
    let Some(number) = number.checked_sub(1) else { return Ok(None) };
    let place = inner.keys.part(scope, session, number);
    let slot = match inner.cache.get(&place) {
        Some(slot) => Some(slot),
        None => inner.slots.get(&place).await?,
    };
    Ok(live(slot).and_then(|part| part.sha256_at(offset)))
}

/// The digest of a list of parts, if their chains tell it.
pub(crate) fn along(parts: &[Part]) -> Option<Digest> {
    let mut sha256 = Sha256::new();
    // An empty part changes nothing.
    let passed = parts.iter().filter(|part| part.size > 0).all(|part| sha256.pass(part.chain().as_ref()));
    passed.then(|| sha256.finish())
}
