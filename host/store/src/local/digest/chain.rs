//! The SHA-256 of a whole object, carried from part to part.
//!
//! A part that arrives after its predecessor is hashed on arrival, from the predecessor's state on. A part that arrives
//! out of order is hashed in the background when its predecessor's state is known; see `catch_up.rs`. Both store the
//! result in the part's row as its [`crate::Chain`]. Invariant: a chain comes from a part's own content, and is stored
//! with the token of the write that brought it.

use crate::local::index::parts::{self, PartRow};
use crate::{Result, Scope, SessionId, Sha256, Sha256State};
use rusqlite::Connection;

/// The hash state from which a part at an offset continues. `None` if its predecessor does not exist or has no state.
pub(crate) fn before(conn: &Connection, scope: &Scope, session: &SessionId, offset: u64) -> Result<Option<Sha256>> {
    if offset == 0 {
        return Ok(Some(Sha256::new()));
    }
    Ok(parts::state_at(conn, scope, session, offset)?.and_then(|state| Sha256::resume(&state)))
}

/// Background hashing that is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// Nothing on account of this part.
    Nothing,
    /// A part without a chain begins at this offset, and this is the state up to there.
    From(u64, Sha256State),
    /// The predecessor has no state yet.
    Unknown,
}

/// Looks for due hashing, in the transaction that creates the row of a part. So each part without a chain whose
/// predecessor has one is noticed, whichever of the two came later.
pub(crate) fn due(conn: &Connection, scope: &Scope, part: &PartRow) -> Result<Due> {
    let (Some(offset), true) = (part.offset, part.size > 0) else { return Ok(Due::Nothing) };
    let session = &part.key.session;
    Ok(match &part.chain {
        Some(chain) => {
            let ends = offset + part.size;
            parts::behind(conn, scope, session, ends)?.map_or(Due::Nothing, |_| Due::From(ends, chain.state.clone()))
        }
        None => parts::state_at(conn, scope, session, offset)?.map_or(Due::Unknown, |state| Due::From(offset, state)),
    })
}
