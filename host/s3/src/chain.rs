//! The SHA-256 of a whole object, carried from part to part.
//!
//! A part that arrives when its predecessor is there with a state is hashed on from that state. The state after it stays in
//! its receipt, tied to the token of the predecessor's data. A tie that does not hold is found at the assembly; so a
//! predecessor may come from the cache.

use crate::receipt::{Content, Part};
use crate::slot::{Slot, State};
use crate::store::Inner;
use portico_store::{Result, Scope, SessionId, Sha256, Token};

/// The digest to go on from for a part, and the token that it is tied to. Absent if it can't be told: the predecessor is
/// looked for under the number before.
pub(crate) async fn before(
    inner: &Inner,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    offset: u64,
) -> Result<Option<(Sha256, Option<Token>)>> {
    if offset == 0 {
        return Ok(Some((Sha256::new(), None)));
    }
    let Some(number) = number.checked_sub(1) else { return Ok(None) };
    let place = inner.keys.part(scope, session, number);
    let slot = match inner.cache.get(&place) {
        Some(slot) => Some(slot),
        None => inner.slots.get(&place).await?,
    };
    let Some(Slot { state: State::Live(Content::Part(part), _), .. }) = slot else { return Ok(None) };
    let ends_there = part.offset.and_then(|at| at.checked_add(part.size)) == Some(offset);
    let state = part.chain.as_ref().filter(|_| ends_there).and_then(|chain| Sha256::resume(&chain.state()?));
    Ok(state.zip(part.token().ok().map(Some)))
}

/// How far the states of a list of parts reach: the number of parts, and the digest after them.
pub(crate) fn along(parts: &[Part]) -> (usize, Sha256) {
    let (mut reach, mut sha256, mut last) = (0, Sha256::new(), None);
    for (at, part) in parts.iter().enumerate() {
        // An empty part changes nothing, and nothing is tied to it.
        if part.size > 0 {
            let Some(chain) = part.chain.as_ref().filter(|chain| chain.after.as_ref() == last) else { break };
            let Some(state) = chain.state().and_then(|state| Sha256::resume(&state)) else { break };
            sha256 = state;
            last = Some(&part.data);
        }
        reach = at + 1;
    }
    (reach, sha256)
}
