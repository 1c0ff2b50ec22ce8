//! The SHA-256 of a whole object, carried from part to part.
//!
//! A part that arrives when its predecessor is there with a state is hashed on from that state while it arrives. One that
//! comes out of order is hashed in the background when its predecessor's state is known; see `catch_up.rs`. What either
//! finds stays in the part's row as its [`crate::Chain`]. Invariant: a chain is made of a part's own content, and is kept with the
//! token of the write that brought it.

use super::hashing::PendingParts;
use super::index::parts::{self, PartRow};
use crate::{Result, Scope, SessionId, Sha256, Sha256State};
use rusqlite::Connection;

/// The digest to go on from for a part at an offset. Absent if its predecessor is not there yet, or has no state.
pub(super) fn before(conn: &Connection, scope: &Scope, session: &SessionId, offset: u64) -> Result<Option<Sha256>> {
    if offset == 0 {
        return Ok(Some(Sha256::new()));
    }
    Ok(parts::state_at(conn, scope, session, offset)?.and_then(|state| Sha256::resume(&state)))
}

/// What there is to catch up with.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing, as far as this part is concerned.
    Nothing,
    /// A part without a chain begins at this offset, up to which the state is this one.
    From(u64, Sha256State),
    /// The predecessor has no state, and gets one if somebody is at it.
    Unknown,
}

/// Looks what there is to catch up with now that a part is there, in the transaction that makes its row. So each part
/// without a chain whose predecessor has one is noticed, whichever of the two came later. One that is pending gets its chain
/// without anybody's help, and is looked from when it has it.
pub(super) fn due(conn: &Connection, scope: &Scope, part: &PartRow, pending: &PendingParts) -> Result<Due> {
    let (Some(offset), true) = (part.offset, part.size > 0) else { return Ok(Due::Nothing) };
    let session = &part.key.session;
    Ok(match &part.chain {
        Some(chain) => {
            let ends = offset + part.size;
            let next = parts::behind(conn, scope, session, ends)?.filter(|next| !pending.has(scope, &next.key));
            next.map_or(Due::Nothing, |_| Due::From(ends, chain.state.clone()))
        }
        None => parts::state_at(conn, scope, session, offset)?.map_or(Due::Unknown, |state| Due::From(offset, state)),
    })
}
